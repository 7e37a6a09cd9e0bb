"""multi-agent.yaml: the seed's sample loads as it is; what is wrong is named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.definitions import load
from swarm_core.vocabulary.errors import ConfigurationError

SEED_SAMPLE = """\
services:
  architect:
    persona: "Lead architect focused on system design and coordination"
    access_level: "global_read"
    tools_allowed: ["all"]
    directories: ["/"]

  frontend:
    persona: "Frontend developer focused on UI/UX and performance"
    programming_languages: ["TypeScript", "JavaScript", "CSS"]
    frameworks: ["React", "Next.js", "Tailwind"]
    directories: ["src/frontend", "public", "styles"]
    tools_allowed: ["Read", "Write", "Edit", "Bash", "WebFetch"]
    tools_restricted: ["git commit", "gh pr create"]
    mcp_servers: ["frontend-tools", "design-system"]

  backend:
    persona: "Backend developer focused on APIs and data processing"
    programming_languages: ["Python", "JavaScript", "SQL"]
    frameworks: ["FastAPI", "Express", "SQLAlchemy"]
    directories: ["src/backend", "api", "database"]
    tools_allowed: ["Read", "Write", "Edit", "Bash"]
    tools_restricted: ["WebFetch", "git commit"]
    mcp_servers: ["database-tools", "api-docs"]

  database:
    persona: "Database specialist focused on schema and migrations"
    programming_languages: ["SQL", "Python"]
    frameworks: ["SQLAlchemy", "Alembic"]
    directories: ["database", "migrations"]
    tools_allowed: ["Read", "Write", "Edit", "Bash"]
    mcp_servers: ["database-migration"]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "multi-agent.yaml"
    path.write_text(text)
    return path


def test_the_seeds_sample_loads_unmodified(tmp_path: Path) -> None:
    spec = load(write(tmp_path, SEED_SAMPLE))

    assert list(spec.services) == ["architect", "frontend", "backend", "database"]
    assert spec.workers == ("frontend", "backend", "database")
    frontend = spec.services["frontend"]
    assert frontend.directories == ("src/frontend", "public", "styles")
    assert frontend.tools_restricted == ("git commit", "gh pr create")
    assert spec.services["architect"].access_level == "global_read"
    assert not spec.services["architect"].writes
    assert "shared directory database: backend, database" in spec.warnings


def test_added_keys_are_read(tmp_path: Path) -> None:
    text = """\
version: 1
model: claude-opus-5-5
adapter: scripted
script: ecoroute
max_parallel: 7
checks:
  - {name: tests, command: make test, timeout: 5m}
services:
  api: {directories: [./src/], replicas: 2, timeout: 90s, max_turns: 12, model: claude-haiku-5-5}
  docs: {directories: [/]}
"""
    spec = load(write(tmp_path, text))

    api = spec.services["api"]
    assert (api.directories, api.replicas, api.timeout_s, api.max_turns) == (("src",), 2, 90.0, 12)
    assert (api.model, spec.services["docs"].model) == ("claude-haiku-5-5", "claude-opus-5-5")
    assert (api.adapter, spec.script, spec.max_parallel) == ("scripted", "ecoroute", 7)
    assert (spec.checks[0].name, spec.checks[0].timeout_s) == ("tests", 300.0)
    assert spec.services["docs"].directories == ("/",)
    assert "architect" in spec.services


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("services:\n  api:\n    directorys: [a]\n", ":3:", "did you mean 'directories'"),
        ("services:\n  api:\n    directories: a\n", ":3:", "must be a list"),
        ("services:\n  api:\n    directories: [a]\n    replicas: many\n", ":4:", "whole number"),
        ("services:\n  api:\n    directories: [a]\n    timeout: soon\n", ":4:", "duration"),
        ("services:\n  api:\n    directories: [../x]\n", ":3:", "leaves the repository"),
        ("services:\n  api:\n    directories: [a/.GIT]\n", ":3:", ".git"),
        ("services:\n  api:\n    persona: x\n", ":3:", "directories are missing"),
        ("services:\n  Api: {directories: [a]}\n", ":2:", "lower-case"),
        ("services: [a\n", ":2:", "not valid YAML"),
        ("services:\n  a: {directories: [x]}\n  a: {directories: [y]}\n", ":3:", "given twice"),
        ("services: {a: &x {directories: [x]}, b: *x}\n", ":1:", "aliases"),
        ("service:\n", ":1:", "did you mean 'services'"),
        ("services:\n  architect: {directories: [/]}\n", ":2:", "no service can take a task"),
        ("adapter: telepathy\nservices: {a: {directories: [x]}}\n", ":1:", "not one of"),
        ("", "multi-agent.yaml:", "services are missing"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, text))

    assert place in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_file_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="swarm-tui init"):
        load(tmp_path / "multi-agent.yaml")


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ("adapter: acp", "command is missing"),
        ("adapter: headless", "profile is missing"),
        ("{adapter: headless, profile: gemini}", "'gemini' is not one of claude, codex"),
        ("{adapter: acp, command: ['']}", "command is empty"),
        ("{adapter: acp, command: [a], env: ['KEY=secret']}", "is not the name of a variable"),
    ],
)
def test_an_agent_of_another_make_needs_what_starts_it(tmp_path: Path, service: str, problem: str) -> None:
    fields = service.strip("{}")
    path = tmp_path / "multi-agent.yaml"
    path.write_text(f"services: {{api: {{directories: [api], {fields}}}}}\n")
    with pytest.raises(ConfigurationError) as found:
        load(path)
    assert problem in str(found.value)


def test_an_agent_of_another_make_does_not_plan(tmp_path: Path) -> None:
    path = tmp_path / "multi-agent.yaml"
    path.write_text("adapter: human\nservices: {api: {directories: [api]}}\n")
    assert load(path).services["architect"].adapter == "anthropic"
    path.write_text("services: {architect: {adapter: human}, api: {directories: [api]}}\n")
    with pytest.raises(ConfigurationError, match="cannot plan"):
        load(path)


def test_effort_is_set_for_all_agents_at_once(tmp_path: Path) -> None:
    path = tmp_path / "multi-agent.yaml"
    path.write_text("effort: medium\nservices: {api: {directories: [api]}}\n")
    assert load(path).effort == "medium"
    path.write_text("effort: heroic\nservices: {api: {directories: [api]}}\n")
    with pytest.raises(ConfigurationError, match="heroic"):
        load(path)


def test_models_to_fall_back_on_are_the_swarms_unless_a_service_names_its_own(tmp_path: Path) -> None:
    path = tmp_path / "multi-agent.yaml"
    path.write_text(
        "fallback_models: [m-2, m-3]\n"
        "services:\n  api: {directories: [api]}\n  web: {directories: [web], fallback_models: []}\n"
    )
    services = load(path).services
    assert services["api"].fallback_models == services["architect"].fallback_models == ("m-2", "m-3")
    assert services["web"].fallback_models == ()
