"""The provider's prompt cache, as documented, for the loopback server: what a request is billed, and what it leaves.

The cached order is tools, system, messages. A breakpoint makes an entry of everything up to and with its block, if that
is long enough; the top-level ``cache_control`` is a breakpoint on the last block that can have one. A breakpoint finds
what is known in the ``LOOKBACK_BLOCKS`` blocks that end with its own. An entry can be read once the answer to the
request that wrote it has begun, and lives from the start of the request that used it last. Tokens are bytes / 4.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LOOKBACK_BLOCKS = 20
MAX_BREAKPOINTS = 4
BYTES_PER_TOKEN = 4
MINIMUM_TOKENS = 1024
TTL_S = {"5m": 300.0, "1h": 3600.0}
_THINKING = ("thinking", "redacted_thinking")


class Refused(Exception):
    """The request is an error 400."""


@dataclass(frozen=True)
class Bill:
    """Input tokens of one request by what they cost; ``prefix`` are those of tools and system prompt."""

    input: int
    read: int
    write_5m: int
    write_1h: int
    prefix: int

    @property
    def tokens(self) -> int:
        return self.input + self.read + self.write_5m + self.write_1h

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input,
            "cache_read_input_tokens": self.read,
            "cache_creation_input_tokens": self.write_5m + self.write_1h,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.write_5m,
                "ephemeral_1h_input_tokens": self.write_1h,
            },
        }


@dataclass(frozen=True)
class Asked:
    """A request that is not answered yet; ``written`` are the entries that its answer makes readable."""

    bill: Bill
    written: tuple[str, ...]


@dataclass
class _Entry:
    ttl_s: float
    until_s: float
    is_readable: bool = False


@dataclass
class _Block:
    tokens: int  # up to and with this block
    digest: str
    kind: str
    ttl: str = ""


@dataclass
class PromptCache:
    """``now_s`` is the provider's clock; ``bills`` are those of the answered requests."""

    now_s: Callable[[], float] = lambda: 0.0
    minimum_tokens: int = MINIMUM_TOKENS
    bills: list[Bill] = field(default_factory=list)
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def ask(self, request: Mapping[str, Any]) -> Asked:
        """What a request will be billed, to be handed to ``began`` when its answer begins. Raises Refused."""
        blocks, prefix = _blocks(request)
        marks = [at for at, block in enumerate(blocks) if block.ttl]
        if len(marks) > MAX_BREAKPOINTS:
            raise Refused(f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided.")
        if any(blocks[a].ttl == "5m" and blocks[b].ttl == "1h" for a in marks for b in marks if a < b):
            raise Refused("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.")
        known = [self._known(blocks, at) for at in marks]
        hit = max(known, default=-1)
        written = [at for at in marks if at > hit and blocks[at].tokens >= self.minimum_tokens]
        read = blocks[hit].tokens if hit >= 0 else 0
        hour = max((blocks[at].tokens for at in written if blocks[at].ttl == "1h"), default=read)
        last = max((blocks[at].tokens for at in written), default=read)
        bill = Bill(blocks[-1].tokens - last, read, last - max(hour, read), max(hour, read) - read, prefix)
        for at in written:
            ttl_s = TTL_S[blocks[at].ttl]
            entry = self._entries.get(blocks[at].digest)
            if entry is None or not self._lives(entry):
                self._entries[blocks[at].digest] = _Entry(ttl_s, self.now_s() + ttl_s)
        return Asked(bill, tuple(blocks[at].digest for at in written))

    def began(self, asked: Asked) -> None:
        self.bills.append(asked.bill)
        for digest in asked.written:
            self._entries[digest].is_readable = True

    def _known(self, blocks: list[_Block], mark: int) -> int:
        """The last block before and with ``mark`` that is the end of a readable entry; using it renews it."""
        for at in range(mark, max(mark - LOOKBACK_BLOCKS, -1), -1):
            entry = self._entries.get(blocks[at].digest)
            if entry is not None and entry.is_readable and self._lives(entry):
                entry.until_s = self.now_s() + entry.ttl_s
                return at
        return -1

    def _lives(self, entry: _Entry) -> bool:
        return self.now_s() < entry.until_s


def _blocks(request: Mapping[str, Any]) -> tuple[list[_Block], int]:
    """The blocks in the order in which they are hashed, and the tokens of tools and system prompt."""
    digest, size_bytes, prefix = hashlib.sha256(str(request["model"]).encode()), 0, 0
    out: list[_Block] = []
    has_left_prefix = False
    for place, block in _parts(request):
        if place == "messages" and not has_left_prefix:
            has_left_prefix, prefix = True, size_bytes // BYTES_PER_TOKEN
            # These change how messages are read, so they are part of what a message's entry is found by.
            settings = {name: request.get(name) for name in ("thinking", "output_config", "tool_choice")}
            digest.update(json.dumps(settings, sort_keys=True).encode())
        plain = {name: value for name, value in block.items() if name != "cache_control"}
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
        digest.update(place.encode() + text)
        size_bytes += len(text)
        ttl = str((block.get("cache_control") or {}).get("ttl", "5m")) if "cache_control" in block else ""
        out.append(_Block(size_bytes // BYTES_PER_TOKEN, digest.hexdigest(), str(block.get("type", "")), ttl))
    if (automatic := request.get("cache_control")) is not None:
        last = next(block for block in reversed(out) if block.kind not in _THINKING)
        last.ttl = last.ttl or str(automatic.get("ttl", "5m"))
    return out, prefix


def _parts(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in request.get("tools", ()):
        yield "tools", tool
    system = request.get("system", ())
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield "system", block
    for message in request["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield "messages", {**block, "role": message["role"]}
