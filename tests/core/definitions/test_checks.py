"""``checks:`` is read whole or refused with file, line and the next step."""

from __future__ import annotations

import pytest

from swarm_core.definitions.checks import KINDS, read_checks
from swarm_core.definitions.marked import compose
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import CheckSpec


def read(text: str) -> tuple[CheckSpec, ...]:
    return read_checks(compose(text, "multi-agent.yaml"))


def test_a_command_is_what_it_was_and_does_not_block() -> None:
    (check,) = read('- name: tests\n  command: "make test"\n  timeout: 5m\n')
    assert check == CheckSpec("tests", "make test", 300.0, place="multi-agent.yaml:1")
    assert (check.kind, check.required, check.at) == ("command", False, ("merge", "landing"))


def test_a_kind_has_its_options_and_its_own_defaults_and_blocks() -> None:
    cover, scan = read(
        "- {name: c, kind: coverage, command: 'x {report}'}\n"
        "- {name: s, kind: secret_scan, paths: [./src/, docs], exclude: ['**/*.md'], required: false, at: [phase]}\n"
    )
    assert (cover.threshold, cover.required, cover.timeout_s) == (">= 80", True, 600.0)
    assert dict(scan.options) == {"paths": ("src", "docs"), "exclude": ("**/*.md",)}
    assert (scan.required, scan.at, scan.timeout_s) == (False, ("phase",), 120.0)


def test_the_threshold_that_is_written_counts() -> None:
    (check,) = read("- {name: c, kind: coverage, command: x, threshold: '>=92.5%'}")
    assert check.threshold == ">= 92.5%"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("- name: a\n", 1, "command missing"),
        ("- name: a\n  kind: covrage\n", 2, "'covrage' is not one of"),
        ("- name: a\n  kind: coverage\n", 1, "command missing"),
        ("- name: A b\n  command: x\n", 1, "lower-case letters"),
        ("- name: a\n  command: x\n  paths: [b]\n", 3, "unknown key"),
        ("- name: a\n  command: x\n  thresold: b\n", 3, "unknown key"),
        ("- name: a\n  command: x\n  threshold: '>= 1'\n", 3, "no threshold"),
        ("- name: a\n  kind: coverage\n  command: x\n  threshold: eighty\n", 4, "not a comparison"),
        ("- name: a\n  kind: response_time\n  start: x\n  threshold: '<= 10 MB'\n", 4, "not in the unit"),
        ("- name: a\n  kind: bundle_size\n  paths: [dist]\n", 1, "threshold missing"),
        ("- name: a\n  command: x\n  required: maybe\n", 3, "'maybe' is not one of"),
        ("- name: a\n  command: x\n  at: []\n", 3, "names no place"),
        ("- name: a\n  command: x\n  at: [commit]\n", 3, "'commit' is not one of"),
        ("- name: a\n  kind: compile\n  paths:\n    - ../up\n", 4, "not a path in the repository"),
        ("- name: a\n  kind: compile\n  paths: [/etc]\n", 3, "not a path in the repository"),
        ("- name: a\n  kind: tests\n  command: x\n  report: .git/x\n", 4, "not a path in the repository"),
        ("- {name: a, command: x}\n- {name: a, command: y}\n", 2, "another check 'a'"),
        ("- {name: a, kind: criteria, checks: [b]}\n- {name: b, command: y}\n", 1, "no check 'b' above"),
        ("- {name: b, command: y, at: [merge]}\n- {name: a, kind: criteria, checks: [b]}\n", 2, "not measured at land"),
        ("- {name: a, kind: response_time, start: x, path: health}\n", 1, "not the path of a URL"),
        ("- {name: a, kind: memory, start: x, port: 70000}\n", 1, "not a whole number"),
        ("- {name: a, kind: sarif, command: x, level: awful}\n", 1, "is not one of LOW"),
        ("a: b\n", 1, "must be a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line_and_the_next_step(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert str(caught.value).startswith(f"multi-agent.yaml:{line}: ")
    assert said in str(caught.value)
    assert caught.value.hint


def test_every_default_threshold_can_be_read() -> None:
    for name, kind in KINDS.items():
        if kind.threshold:
            needs = "".join(f", {key}: x" for key in kind.needs if key != "threshold")
            (check,) = read(f"- {{name: a, kind: {name}{needs}, threshold: '{kind.threshold}'}}")
            assert check.threshold
