"""The registry of artifacts: read as the seed has it, and each mistake is one error with its line and a next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.definitions.artifacts import load_registry, shipped_text
from swarm_core.vocabulary.artifacts import Registry
from swarm_core.vocabulary.errors import ConfigurationError

ONE = """\
artifact_types:
  a:
    producer: one
    consumers: ALL
    format: yaml
    path: artifacts/a.yml
  b:
    producer: two
    consumers: [one]
    format: json
    path: artifacts/b.json
"""


def loaded(root: Path, registry: str | bytes, validation: str = "") -> Registry:
    home = root / ".agent-artifacts"
    home.mkdir(exist_ok=True)
    (home / "registry.yml").write_bytes(registry.encode() if isinstance(registry, str) else registry)
    if validation:
        (home / "validation.json").write_text(validation)
    return load_registry(root)


def test_without_a_registry_there_are_the_fifteen_that_are_shipped(tmp_path: Path) -> None:
    registry = load_registry(tmp_path)
    assert registry.is_shipped
    assert len(registry.types) == 15
    assert registry.types["test_results"].required_fields == ("summary", "coverage")
    assert all(kind.schema for kind in registry.types.values() if kind.format in ("yaml", "json"))


def test_what_init_writes_is_what_is_shipped(tmp_path: Path) -> None:
    own = loaded(tmp_path, shipped_text("registry.yml"), shipped_text("validation.json"))
    shipped = load_registry(tmp_path / "nowhere")
    assert not own.is_shipped
    assert {key: (kind.path, kind.depends_on, kind.schema) for key, kind in own.types.items()} == {
        key: (kind.path, kind.depends_on, kind.schema) for key, kind in shipped.types.items()
    }


@pytest.mark.parametrize(
    ("registry", "line", "said"),
    [
        (ONE.replace("    format: json\n", ""), 8, "format missing"),
        (ONE.replace("    consumers: [one]\n", ""), 8, "consumers missing"),
        (ONE.replace("producer: two", "producer: ''"), 8, "is empty"),
        (ONE.replace("format: json", "format: jsn"), 10, "'jsn' is not a known format"),
        (ONE.replace("consumers: [one]", "consumers: one"), 9, "must be a list of agents or ALL"),
        (ONE.replace("artifacts/b.json", "../b.json"), 11, "leaves the repository"),
        (ONE.replace("artifacts/b.json", "/etc/passwd"), 11, "leaves the repository"),
        (ONE.replace("artifacts/b.json", ".git/config"), 11, "cannot be an artifact's path"),
        (ONE.replace("artifacts/b.json", "artifacts/A.yaml"), 8, "two and one would both write it"),
        (ONE.replace("  b:\n", "  a:\n"), 7, "is given twice"),
        (ONE.replace("  b:\n", "  plan:\n"), 8, "'plan' cannot name an artifact"),
        (ONE.replace("producer: two", "producr: two"), 8, "unknown key"),
        ("types: {}\n", 1, "unknown key"),
        ("{}\n", 1, "artifact_types is missing"),
        ("artifact_types: [\n", 2, "is not valid YAML"),
        ("a: &x [1]\nb: *x\n", 2, "aliases"),
        ("[" * 2_000 + "]" * 2_000, 1, "is nested too deep"),
    ],
)
def test_a_broken_registry_is_one_error_with_its_line(tmp_path: Path, registry: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, registry)
    assert caught.value.line == line, str(caught.value)
    assert said in str(caught.value)
    assert "registry.yml:" in str(caught.value)


CIRCLE = '"a.yml": {"depends_on": ["b.json"]},\n"b.json": {"depends_on": ["a.yml"]}'


@pytest.mark.parametrize(
    ("rules", "line", "said"),
    [
        (CIRCLE, 2, "a.yml -> b.json -> a.yml"),
        ('"a.yml": {"depends_on": ["a.yml"]}', 2, "depends on itself: a.yml -> a.yml"),
        ('"c.yml": {}', 2, "'c.yml' is not a registered artifact"),
        ('"a.yml": {"depends_on":\n["bjson"]}', 3, "'bjson' is not a registered artifact"),
        ('"a.yml": {"format": "json"}', 2, "a is yaml in .agent-artifacts/registry.yml:3"),
        ('"a.yml": {"max_size": "many"}', 2, "is not a size"),
        ('"a.yml": {"max_size": "50MB"}', 2, "is not a size up to 8 MiB"),
        ('"a.yml": {"minimum_coverage": 101}', 2, "is not a percentage"),
        ('"a.yml": {},\n"a": {}', 3, "already has rules in line 2"),
        ('"a.yml": {"schema": "nobody"}', 2, "is not a shipped schema"),
        ('"a.yml": {"depends_on": 7}', 2, "must be a list"),
    ],
)
def test_broken_rules_are_one_error_with_its_line(tmp_path: Path, rules: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, ONE, f'{{"artifact_validation": {{\n{rules}}}}}')
    assert caught.value.line == line, str(caught.value)
    assert said in str(caught.value)
    assert "validation.json:" in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "said"),
    [("{}", "artifact_validation is missing"), ("{", "is not valid YAML"), ("[]", "must be a mapping")],
)
def test_rules_that_are_none_are_one_error(tmp_path: Path, rules: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"validation.json:1: .*{said}"):
        loaded(tmp_path, ONE, rules)


def test_a_registry_behind_a_link_or_in_other_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        loaded(tmp_path, b"a: \xff\n")
    path = tmp_path / ".agent-artifacts/registry.yml"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError, match="is not a plain file"):
        load_registry(tmp_path)


def test_rules_may_be_indented_with_tabs(tmp_path: Path) -> None:
    rules = '{\n\t"artifact_validation": {\n\t\t"a.yml": {"max_size": "100KB", "required_fields": ["x"]}\n\t}\n}\n'
    kind = loaded(tmp_path, ONE, rules).types["a"]
    assert (kind.max_bytes, kind.required_fields) == (100_000, ("x",))


def test_an_agent_is_known_by_every_name_the_seed_has_for_it(tmp_path: Path) -> None:
    registry = load_registry(tmp_path)
    for name in ("security", "security_agent", "Security Specialist"):
        assert registry.agent(name) == "security"
    assert registry.is_agent("backend", "backend-agent")
    assert registry.is_agent("performance_agent", "performance-optimization-specialist")
    assert not registry.is_agent("frontend", "backend-agent")
    own = loaded(tmp_path, ONE + "aliases:\n  one: [Number One]\n")
    assert own.is_agent("number-one", "one")


def test_consumers_are_those_named_all_and_who_depends_on_it(tmp_path: Path) -> None:
    registry = load_registry(tmp_path)
    types = registry.types
    assert registry.consumes("anybody", types["error_reports"])
    assert registry.consumes("backend", types["database_schema"])
    assert registry.consumes("devops", types["system_design"])  # its manifest depends on it
    assert not registry.consumes("frontend", types["database_schema"])


def test_what_depends_on_a_change_is_found_nearest_first_and_once(tmp_path: Path) -> None:
    registry = load_registry(tmp_path)
    found = [kind.key for kind in registry.dependents(["security_requirements"])]
    assert found[0] == "database_schema"
    assert "api_contracts" in found
    assert "ui_components" in found
    assert len(found) == len(set(found))
    assert "security_requirements" not in found


def test_both_spellings_of_yaml_are_one_file(tmp_path: Path) -> None:
    registry = load_registry(tmp_path)
    kind = registry.at("artifacts/system-design.yaml")
    assert kind is not None
    assert kind.path == "artifacts/system-design.yml"
    assert registry.at("artifacts/other.yml") is None
