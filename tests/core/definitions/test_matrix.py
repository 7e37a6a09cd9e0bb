"""``artifacts/decision-matrix.yml``: what seed 000 writes is read as it stands, mistakes are named with their line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarm_core.definitions.matrix import load_matrix, read_matrix, shipped_matrix
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.rules import ACTIONS, Matrix

SEED = """\
# artifacts/decision-matrix.yml
# Agents use this to make autonomous decisions

decision_rules:
  security_agent:
    if_vulnerability_found:
      severity_critical:·
        action: block_deployment
        notify: [error-agent, devops-agent]
      severity_high:
        action: create_hotfix
        notify: [backend-agent, testing-agent]
      severity_medium:
        action: add_to_backlog
        notify: [system-architecture-lead]
········
  testing_agent:
    if_coverage_below_80:
      action: request_more_tests
      notify: [backend-agent, frontend-agent]
    if_tests_fail:
      action: block_deployment
      notify: [error-agent, responsible-agent]
······
  performance_agent:
    if_response_time_above_200ms:
      action: optimize_query
      notify: [database-architect, backend-agent]
    if_memory_usage_above_80:
      action: scale_horizontally
      notify: [devops-agent]
······
  error_agent:
    if_critical_error:
      action: halt_all_agents
      execute: recovery_protocol
    if_inconsistency_detected:
      action: request_clarification
      notify: [relevant-agents]
""".replace("·", " ")  # the seed ends lines with blanks


def test_the_seeds_file_loads_unmodified_and_is_what_ships() -> None:
    rules = read_matrix(SEED.encode()).rules

    assert [rule.when for rule in rules] == [
        "vulnerability_found (CRITICAL)",
        "vulnerability_found (HIGH)",
        "vulnerability_found (MEDIUM)",
        "coverage < 80",
        "tests_fail",
        "response_time > 200ms",
        "memory_usage > 80",
        "critical_error",
        "inconsistency_detected",
    ]
    assert rules[0].notify == ("error-agent", "devops-agent")
    assert rules[7].actions == ("halt_all_agents", "recovery_protocol")
    assert {action for rule in rules for action in rule.actions} == set(ACTIONS)
    assert [rule.when for rule in shipped_matrix().rules] == [rule.when for rule in rules]


def test_a_repository_without_a_file_has_the_shipped_rules_and_its_own_otherwise(tmp_path: Path) -> None:
    assert load_matrix(tmp_path) == shipped_matrix()
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/decision-matrix.yml").write_text(
        "decision_rules: {qa: {if_coverage_below_95: {action: request_more_tests}}}"
    )

    (rule,) = load_matrix(tmp_path).rules
    assert (rule.limit, rule.place) == (95.0, "artifacts/decision-matrix.yml:1")


def test_rules_survive_the_journal() -> None:
    matrix = read_matrix((SEED + "aliases: {devops-agent: backend}\n").encode())
    assert Matrix.read(matrix.data()) == matrix


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("rules: {}", 1, "unknown key"),
        ("", 1, "decision_rules are missing"),
        ("decision_rules:\n  a:\n    if_tests_fail:\n      action: block_deploy", 4, "did you mean 'block_deployment'"),
        ("decision_rules:\n  a:\n    if_tests_fail:\n      action: dance", 4, "there is no action 'dance'"),
        ("decision_rules:\n  a:\n    if_tests_fail:\n      execute: dance", 4, "there is no action 'dance'"),
        ("decision_rules:\n  a:\n    if_tests_fail:\n      acton: halt_all_agents", 4, "did you mean 'action'"),
        ("decision_rules:\n  a:\n    tests_fail: {action: halt_all_agents}", 3, "is not a rule"),
        ("decision_rules:\n  a:\n    if_coverage_below_: {action: halt_all_agents}", 3, "no threshold"),
        ("decision_rules:\n  a:\n    if_coverage_below_8x: {action: halt_all_agents}", 3, "no threshold"),
        ("decision_rules:\n  a:\n    if_Tests Fail: {action: halt_all_agents}", 3, "name of a condition"),
        ("decision_rules:\n  a:\n    if_tests_fail: {}", 3, "does nothing"),
        (
            "decision_rules:\n  a:\n    if_x_found:\n      high: {notify: ALL}\n      action: halt_all_agents",
            5,
            "beside",
        ),
        ("decision_rules:\n  a:\n    if_x_found: {notify: *all}", 3, "aliases"),
        ("decision_rules:\n  a: [", 2, "not valid YAML"),
        ("decision_rules:\n  a: 3", 2, "must be a mapping"),
        ("decision_rules:\n  a:\n    if_x: {action: add_to_backlog}\n    if_x: {notify: ALL}", 4, "given twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_the_next_step(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)) as wrong:
        read_matrix(text.encode())
    assert wrong.value.line == line
    assert wrong.value.hint


def test_a_file_that_is_no_text_or_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_matrix(b"decision_rules: \xff")
    with pytest.raises(ConfigurationError, match="larger"):
        read_matrix(b"#" * ((1 << 20) + 1))
    (tmp_path / "repo/artifacts").mkdir(parents=True)
    (tmp_path / "secret.yml").write_text(SEED)
    (tmp_path / "repo/artifacts/decision-matrix.yml").symlink_to(tmp_path / "secret.yml")
    with pytest.raises(ConfigurationError, match="leads out"):
        load_matrix(tmp_path / "repo")
