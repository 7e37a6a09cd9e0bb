"""Permission rules are read where people write them; what is broken says where, and nothing widens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from swarm_core.definitions.config import parse
from swarm_core.definitions.marked import compose
from swarm_core.definitions.settings import read_granted, read_settings
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.spec import PermissionSpec

FULL = PermissionSpec(repository="full")


def write(root: Path, document: Any, name: str = ".claude/settings.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return path


def test_the_configuration_has_rules_for_all_and_for_one_service_with_their_lines() -> None:
    text = (
        "permissions:\n  deny: [Bash(rm:*)]\n  default: ask\n"
        "services:\n  api:\n    directories: [api]\n    permissions:\n      allow:\n        - Bash(npm test)\n"
    )
    spec = parse(compose(text, "/somewhere/multi-agent.yaml"))
    (top,), (own,) = spec.permissions.rules, spec.services["api"].permissions
    assert (top.effect, top.text, top.place) == ("deny", "Bash(rm:*)", "multi-agent.yaml:2")
    assert (own.effect, own.text, own.place) == ("allow", "Bash(npm test)", "multi-agent.yaml:9")
    assert (spec.permissions.default, spec.permissions.repository, spec.permissions.user) == ("ask", "narrow", False)


@pytest.mark.parametrize(
    ("permissions", "said"),
    [
        ("{deni: []}", "did you mean 'deny'"),
        ("{default: maybe}", "is not one of deny, ask, allow"),
        ("{deny: Bash}", "must be a list"),
        ("{repository: wide}", "is not one of narrow, full, ignore"),
        ("[]", "must be a mapping"),
    ],
)
def test_a_wrong_configuration_says_where_and_what(permissions: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"m.yaml:1: ") as wrong:
        parse(compose(f"permissions: {permissions}\nservices: {{a: {{directories: [a]}}}}\n", "m.yaml"))
    assert said in str(wrong.value)


def test_both_files_of_a_repository_count_and_allow_opens_nothing_unless_configured(tmp_path: Path) -> None:
    write(tmp_path, {"permissions": {"allow": ["Bash"], "deny": ["Read(.env)"]}, "hooks": {"PreToolUse": []}})
    write(tmp_path, {"permissions": {"ask": ["Bash(git push:*)"]}}, ".claude/settings.local.json")
    narrow = read_settings(tmp_path, PermissionSpec())
    assert [(rule.effect, rule.text, rule.place) for rule in narrow.rules] == [
        ("deny", "Read(.env)", ".claude/settings.json:7"),
        ("ask", "Bash(git push:*)", ".claude/settings.local.json:4"),
    ]
    assert narrow.hooks == (".claude/settings.json: PreToolUse",)
    assert "Bash" in [rule.text for rule in read_settings(tmp_path, FULL).rules]
    assert read_settings(tmp_path, PermissionSpec(repository="ignore")).rules == ()


def test_the_users_own_file_is_read_only_when_the_configuration_says_so(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "repo"
    root.mkdir()
    write(home, {"permissions": {"allow": ["Bash"]}})
    assert read_settings(root, PermissionSpec(), home).files == ()
    (rule,) = read_settings(root, PermissionSpec(user=True), home).rules
    assert (rule.text, rule.place) == ("Bash", "~/.claude/settings.json:4")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n "permissions": {"deny": [}\n}', "settings.json:2: is not JSON"),
        ("[]", "settings.json:1: must be an object"),
        ('{"permissions": []}', "settings.json:1: permissions must be an object"),
        ('{\n"permissions": {\n"deny": "Bash"}}', "settings.json:3: permissions.deny must be a list"),
        ("[" * 100_000, "settings.json:1: is not JSON"),
        ("{}" + " " * (1 << 20), "is larger than"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigurationError) as wrong:
        read_settings(tmp_path, FULL)
    assert place in str(wrong.value)


def test_what_is_no_plain_file_is_refused_and_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    os.mkfifo(tmp_path / ".claude/settings.json")
    with pytest.raises(ConfigurationError, match="is not a plain file"):
        read_settings(tmp_path, FULL)


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"permissions": {"allow": [3], "defaultMode": "bypassPermissions", "additionalDirectories": ["/"]}})
    found = read_settings(tmp_path, FULL)
    assert found.rules == ()
    assert len(found.warnings) == 3
    assert any("defaultMode is not used here and opens nothing" in warning for warning in found.warnings)


def test_a_broken_file_of_grants_names_its_line(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    assert read_granted(layout).rules == ()
    write(tmp_path, "version: 1\ngranted:\n  - {service: api}\n", ".multi-agent/permissions.yaml")
    with pytest.raises(ConfigurationError, match=r"permissions.yaml:3: .*rule is missing"):
        read_granted(layout)
