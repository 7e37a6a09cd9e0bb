"""Who reviews whom: a critic is another service, and writes nothing."""

from __future__ import annotations

import pytest

from swarm_core.definitions.config import parse
from swarm_core.definitions.marked import compose
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import CriticSpec

SERVICES = """\
services:
  backend: {directories: [backend]}
  critic: {access_level: global_read, directories: ["/"]}
"""


def test_a_critic_is_named_with_or_without_rounds() -> None:
    assert parse(compose(SERVICES + "critics: {backend: critic}\n", "x")).critics == {"backend": CriticSpec("critic")}
    more = SERVICES + "critics: {backend: {service: critic, rounds: 2}}\n"
    assert parse(compose(more, "x")).critics == {"backend": CriticSpec("critic", 2)}
    assert parse(compose(SERVICES, "x")).critics == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("nobody: critic", "there is no service 'nobody'"),
        ("backend: nobody", "cannot review"),
        ("backend: backend", "cannot review"),
        ("backend: architect", "cannot review"),
        ("critic: backend", "writes files"),
        ("backend: {rounds: 2}", "service is missing"),
        ("backend: {service: critic, rounds: 0}", "whole number"),
        ("backend: {service: critic, often: 1}", "unknown key"),
        ("backend: [critic]", "mapping"),
    ],
)
def test_what_cannot_review_is_refused_with_its_line(entry: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as error:
        parse(compose(f"{SERVICES}critics: {{{entry}}}\n", "multi-agent.yaml"))
    assert "multi-agent.yaml:4" in str(error.value)
