"""The loopback server's cache bills as the provider documents it; every figure about cost rests on that."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.prompt_cache import Bill, PromptCache, Refused

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def block(name: str, tokens: int = 1_000, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": name.ljust(tokens * 4, "."), **more}


def ask(cache: PromptCache, *blocks: dict[str, Any], system: dict[str, Any] | None = None, **more: Any) -> Bill:
    system = system or block("system", 2_000, **MARK)
    message = {"role": "user", "content": list(blocks)}
    asked = cache.ask({"model": "m", "system": [system], "messages": [message], **more})
    cache.began(asked)
    return asked.bill


def kinds(bill: Bill) -> list[int]:
    """Thousands of tokens: input, read, written for five minutes, written for an hour."""
    return [round(part / 1_000) for part in (bill.input, bill.read, bill.write_5m, bill.write_1h)]


def test_a_growing_conversation_reads_what_it_wrote_and_pays_for_the_rest() -> None:
    cache = PromptCache()
    assert kinds(ask(cache, block("a"), **MARK)) == [0, 0, 3, 0]
    assert kinds(ask(cache, block("a"), block("b"), **MARK)) == [0, 3, 1, 0]
    assert kinds(ask(cache, block("a"), block("b"), block("c"))) == [3, 2, 0, 0], "nobody asked for more"
    assert kinds(ask(cache, block("z"), **MARK)) == [0, 2, 1, 0], "the system prompt is shared"


def test_nothing_is_cached_below_the_minimum_or_without_a_breakpoint() -> None:
    cache = PromptCache(minimum_tokens=4_000)
    for _ in range(2):
        assert kinds(ask(cache, block("a"), **MARK)) == [3, 0, 0, 0]
    plain = PromptCache()
    for _ in range(2):
        assert kinds(ask(plain, block("a"), system=block("system", 2_000))) == [3, 0, 0, 0]


@pytest.mark.parametrize(("added", "read"), [(19, 3), (20, 2)])
def test_a_breakpoint_looks_back_twenty_blocks(added: int, read: int) -> None:
    cache = PromptCache()
    ask(cache, block("a"), **MARK)
    more = [block(str(number), 10) for number in range(added)]
    assert kinds(ask(cache, block("a"), *more, **MARK))[1] == read


def test_an_entry_is_readable_only_once_the_answer_began() -> None:
    cache = PromptCache()
    request = {"model": "m", "system": [block("system", 2_000, **MARK)], "messages": []}
    first, second = cache.ask(request), cache.ask(request)
    assert kinds(second.bill) == [0, 0, 2, 0], "both pay for writing"
    cache.began(first)
    assert kinds(cache.ask(request).bill) == [0, 2, 0, 0]


def test_an_entry_lives_from_its_last_use() -> None:
    now = [0.0]
    cache = PromptCache(lambda: now[0])
    for at_s, expected in ((0, [0, 0, 3, 0]), (299, [0, 3, 0, 0]), (598, [0, 3, 0, 0]), (898, [0, 0, 3, 0])):
        now[0] = at_s
        assert kinds(ask(cache, block("a"), **MARK)) == expected


def test_an_hour_costs_more_and_lasts() -> None:
    now = [0.0]
    cache = PromptCache(lambda: now[0])
    prompt = block("system", 2_000, **HOUR)
    assert kinds(ask(cache, block("a"), system=prompt, **MARK)) == [0, 0, 1, 2]
    now[0] = 3_599
    assert kinds(ask(cache, block("a"), system=prompt, **MARK)) == [0, 2, 1, 0]


def test_another_model_another_effort_and_another_byte_find_nothing() -> None:
    cache = PromptCache()
    ask(cache, block("a"), **MARK)
    assert kinds(ask(cache, block("a"), output_config={"effort": "low"}, **MARK)) == [0, 2, 1, 0]
    assert kinds(ask(cache, block("a"), model="n", **MARK)) == [0, 0, 3, 0]
    assert kinds(ask(cache, block("a"), system=block("System", 2_000, **MARK), **MARK)) == [0, 0, 3, 0]


def test_what_the_provider_refuses_is_refused() -> None:
    with pytest.raises(Refused, match="maximum of 4"):
        ask(PromptCache(), *({**block(str(n)), **MARK} for n in range(4)))
    with pytest.raises(Refused, match="ttl='1h'"):
        ask(PromptCache(), block("a"), **HOUR)
