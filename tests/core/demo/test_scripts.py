"""The demonstration's scripts, played without a swarm: is the story in them true, and does its product work?"""

from __future__ import annotations

import ast
import asyncio
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm_core import demo
from swarm_core.artifacts.consistency import contradictions
from swarm_core.artifacts.library import Library
from swarm_core.artifacts.validate import examine, validate
from swarm_core.checks.run import CheckRun, run_check
from swarm_core.checks.site import Around
from swarm_core.definitions import load
from swarm_core.definitions.artifacts import load_registry
from swarm_core.demo import repository
from swarm_core.vocabulary.clock import SystemClock

SCRIPTS = Path(demo.__file__).parent / "scripts"
SERVICES = ("architect", "database", "backend", "frontend", "testing")
KNOWN_KEYS = {"when", "think", "say", "do", "usage", "pause", "fault"}
TOOLS = {
    "Read": {"file_path"},
    "Write": {"file_path", "content"},
    "Edit": {"file_path", "old_string", "new_string"},
    "Bash": {"command", "description"},
    "Glob": {"pattern"},
    "Grep": {"pattern"},
    "commit": {"message"},
    "handoff": {"what_i_did", "whats_left", "recommendation"},
    "plan_tasks": {"tasks"},
    "change_plan": {"tasks"},
    "artifact_write": {"type", "content"},
}
ARTIFACTS = {"api_contracts": "artifacts/api-contracts.yml"}
CLARIFY = "Clarify: Customer has the field 'phone_number', the table 'customers' has no such column"
PHONE = "Add customers.phone_number to the schema"


def turns(service: str) -> list[dict[str, Any]]:
    loaded = yaml.safe_load((SCRIPTS / f"{service}.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, list)
    return loaded


def steps(service: str, iteration: int = 1, title: str = "") -> list[dict[str, Any]]:
    """What the service does in that round of a task (its first one), with the contents of its files."""
    found = []
    for turn in turns(service):
        is_about = fnmatchcase(title, turn["when"]["task"]) if title else turn["when"]["task"] == first_task(service)
        if is_about and turn["when"].get("iteration", iteration) == iteration:
            for step in turn["do"]:
                args = dict(step.get("args", {}))
                if "file" in step:
                    args["content"] = (SCRIPTS / step["file"]).read_text(encoding="utf-8")
                found.append({"tool": step["tool"], "args": args})
    return found


def first_task(service: str) -> str:
    return str(turns(service)[0]["when"]["task"])


def plan() -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = next(s for s in steps("architect") if s["tool"] == "plan_tasks")["args"]["tasks"]
    return tasks


@dataclass(frozen=True, slots=True)
class Done:
    """One step and how it ended."""

    tool: str
    args: dict[str, Any]
    denied: bool = False
    exit_code: int = 0
    output: str = ""


def play(top: Path, service: str, iteration: int = 1, title: str = "") -> list[Done]:
    """Do what the script says in ``top``, refusing what the service's rules would refuse."""
    spec = yaml.safe_load((top / "multi-agent.yaml").read_text(encoding="utf-8"))["services"][service]
    done = []
    for step in steps(service, iteration, title):
        tool, args = step["tool"], step["args"]
        if tool == "artifact_write":
            (top / ARTIFACTS[args["type"]]).parent.mkdir(exist_ok=True)
            (top / ARTIFACTS[args["type"]]).write_text(args["content"], encoding="utf-8")
        if tool in ("Write", "Edit"):
            path = top / args["file_path"]
            if Path(args["file_path"]).parts[0] not in spec["directories"]:
                done.append(Done(tool, args, denied=True))
                continue
            text = args.get("content", "")
            if tool == "Edit":
                before = path.read_text(encoding="utf-8")
                assert before.count(args["old_string"]) == 1, args
                text = before.replace(args["old_string"], args["new_string"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            done.append(Done(tool, args))
        elif tool == "Bash":
            if "git commit" in args["command"]:
                done.append(Done(tool, args, denied=True))
                continue
            code, output = run(top, args["command"])
            done.append(Done(tool, args, exit_code=code, output=output))
        else:
            if tool == "Read":
                assert (top / args["file_path"]).is_file(), f"{service} reads {args['file_path']}, which is not there"
            done.append(Done(tool, args))
    return done


def run(top: Path, command: str) -> tuple[int, str]:
    python = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=top,
        env={"PATH": f"{python}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Played:
    """The whole story: what everybody did, and the tree with all of it."""

    done: dict[str, list[Done]]
    merged: Path


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    base = repository.create(tmp_path_factory.mktemp("demo") / "eco route")
    done = {"architect": steps_of_architect(base), "database": play(base, "database"), "backend": play(base, "backend")}
    done["backend again"] = play(base, "backend", 2)
    beside = base.parent / "frontend's tree"
    shutil.copytree(base, beside)
    done["frontend"] = play(beside, "frontend")
    done["testing"] = play(base, "testing")
    shutil.copytree(beside / "frontend", base / "frontend")
    done["database again"] = play(base, "database", 1, PHONE)
    return Played(done, base)


def steps_of_architect(top: Path) -> list[Done]:
    return [Done(step["tool"], step["args"]) for step in steps("architect") if step["tool"] != "Read"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_turn_is_made_of_known_parts(service: str) -> None:
    for turn in turns(service):
        assert turn.keys() <= KNOWN_KEYS
        assert turn["do"], "a turn without a tool call would end the task"
        assert 1 <= turn["pause"] <= 4
        assert turn["usage"].keys() == {"in", "out"}
        for step in turn["do"]:
            given = set(step["args"]) | ({"content"} if "file" in step else set())
            assert TOOLS[step["tool"]] <= given <= TOOLS[step["tool"]] | {"path", "output_mode"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_round_ends_with_one_call_that_ends_it(service: str) -> None:
    rounds: dict[tuple[str, Any], list[list[str]]] = {}
    for turn in turns(service):
        key = (turn["when"]["task"], turn["when"].get("iteration"))
        rounds.setdefault(key, []).append([step["tool"] for step in turn["do"]])
    wanted = {"architect": {None}, "backend": {1, 2, ">2"}}
    for task in {task for task, _ in rounds}:
        assert {iteration for one, iteration in rounds if one == task} == wanted.get(service, {1, ">1"})
    for (task, _), calls in rounds.items():
        last = {"task_000": "plan_tasks", "Clarify:*": "change_plan"}.get(task, "handoff")
        assert calls[-1] == [last]
        assert not [tools for tools in calls[:-1] if last in tools]


def test_contents_stay_inside_the_scripts_directory() -> None:
    names = [step["file"] for service in SERVICES for turn in turns(service) for step in turn["do"] if "file" in step]
    assert names
    assert all((SCRIPTS / name).resolve().is_relative_to(SCRIPTS.resolve()) for name in names)
    present = {p for p in (SCRIPTS / "files").rglob("*.*") if "__pycache__" not in p.parts}
    assert present == {SCRIPTS / name for name in names}


def test_frontend_and_testing_wait_for_the_backend_and_not_for_each_other() -> None:
    needs = {task["assigned_to"]: task["dependencies"] for task in plan()}
    assert needs == {"database": [], "backend": ["schema"], "frontend": ["api"], "testing": ["api"]}


@pytest.mark.parametrize("service", SERVICES[1:])
def test_a_script_waits_for_the_title_that_the_plan_gives(service: str) -> None:
    titles = [task["title"] for task in [*plan(), clarified()] if task["assigned_to"] == service]
    assert all(any(fnmatchcase(title, turn["when"]["task"]) for title in titles) for turn in turns(service))
    assert all(steps(service, 1, title) for title in titles)


def clarified() -> dict[str, Any]:
    """The one task that the architect plans when a rule asks."""
    (task,) = next(s for s in steps("architect", 1, CLARIFY) if s["tool"] == "change_plan")["args"]["tasks"]
    assert (task["title"], task["assigned_to"]) == (PHONE, "database")
    assert task["dependencies"] == [f"task_{[one['key'] for one in plan()].index('api') + 1:03}"]
    return dict(task)


def judged(top: Path, path: str, content: str) -> list[str]:
    """What the repository's own registry has against a text, with its places."""
    kind = load_registry(top).at(path)
    assert kind is not None
    return [str(fault) for fault in validate(kind, content.encode()).faults]


def test_the_contract_is_refused_for_what_it_lacks_and_then_accepted(played: Played) -> None:
    drafts = [s["args"]["content"] for s in steps("backend") if s["tool"] == "artifact_write"]
    path = ARTIFACTS["api_contracts"]

    assert [judged(played.merged, path, text) for text in drafts] == [
        [f"{path}:1:1: the field 'components.securitySchemes' is missing"],
        [],
    ]


def test_the_artifacts_are_judged_without_any_further_library(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sqlglot", "jsonschema", "openapi_spec_validator"):
        monkeypatch.setitem(sys.modules, module, None)
    registry = load_registry(played.merged)

    for kind in registry.types.values():
        assert validate(kind, (played.merged / kind.path).read_bytes()).status == "valid"


def test_the_contract_is_openapi() -> None:
    library = pytest.importorskip("openapi_spec_validator")
    library.validate(yaml.safe_load((SCRIPTS / "files/artifacts/api-contracts.yml").read_text(encoding="utf-8")))


def test_contract_and_schema_disagree_about_one_column_until_its_migration_is_there(played: Played) -> None:
    registry = load_registry(played.merged)
    contract = (SCRIPTS / "files/artifacts/api-contracts.yml").read_text(encoding="utf-8")
    before = (SCRIPTS / "files/database/schema.sql").read_text(encoding="utf-8")
    after = (played.merged / "database/schema.sql").read_text(encoding="utf-8")

    def said(schema: str) -> list[str]:
        texts = {"api_contracts": contract, "database_schema": schema}
        read = {key: examine(registry.types[key], text.encode())[1] for key, text in texts.items()}
        library = Library(registry, {key: document for key, document in read.items() if document is not None})
        assert len(library.documents) == 2
        return [fault.message for fault in contradictions(library)]

    assert said(before) == [CLARIFY.removeprefix("Clarify: ")]
    assert said(after) == []


def test_frontend_is_denied_twice_and_then_goes_on_properly(played: Played) -> None:
    frontend = played.done["frontend"]
    denied = [(step.tool, step.args.get("file_path")) for step in frontend if step.denied]
    assert denied == [("Bash", None), ("Write", "backend/overview.py")]
    assert [step.tool for step in frontend].count("commit") == 3
    assert not (played.merged / "backend/overview.py").exists()


def test_nobody_else_is_denied(played: Played) -> None:
    assert not [step for who, all_ in played.done.items() if who != "frontend" for step in all_ if step.denied]


def test_the_note_to_the_backend_takes_tokens_from_60_to_15_minutes(played: Played) -> None:
    before = (SCRIPTS / "files/backend/auth.py").read_text(encoding="utf-8")
    assert "TOKEN_MINUTES = 60\n" in before
    after = (played.merged / "backend/auth.py").read_text(encoding="utf-8")
    assert after == before.replace("TOKEN_MINUTES = 60\n", "TOKEN_MINUTES = 15\n")


def test_the_backend_meets_an_overload_once_and_could_lose_that_turn() -> None:
    faults = [(service, turn) for service in SERVICES for turn in turns(service) if turn.get("fault", "none") != "none"]
    assert [(service, turn["fault"]) for service, turn in faults] == [("backend", "api_529")]
    assert {step["tool"] for step in faults[0][1]["do"]} == {"Read"}


def test_commands_end_as_their_descriptions_say(played: Played) -> None:
    commands = [step for all_ in played.done.values() for step in all_ if step.tool == "Bash" and not step.denied]
    assert len(commands) >= 9
    for step in commands:
        expected = "must fail" in step.args["description"] or "of the dashboard" in step.args["description"]
        assert (step.exit_code != 0) is expected, f"{step.args['command']}\n{step.output}"


def test_tests_of_the_dashboard_wait_for_the_dashboard(played: Played) -> None:
    whole = [step for step in played.done["testing"] if "whole" in step.args.get("description", "")]
    assert "OK (skipped=3)" in whole[0].output, "and the phone number's waits for its column"


def test_every_agent_commits_more_than_once(played: Played) -> None:
    for service in ("database", "backend", "frontend", "testing"):
        messages = [step.args["message"] for step in played.done[service] if step.tool == "commit"]
        assert len(set(messages)) == len(messages) >= 3


def test_the_product_passes_its_own_tests_on_the_merged_tree(played: Played) -> None:
    code, output = run(played.merged, "python3 -B -W error -m unittest discover -s tests -t .")
    assert code == 0, output
    assert "\nOK\n" in output, "nothing is skipped once the dashboard is there"


WALLED = """
import socket, sys, unittest
class Walled(socket.socket):
    def connect(self, address):
        raise PermissionError(13, "no connections from here")
    if "--no-listening" in sys.argv:
        def bind(self, address):
            raise PermissionError(13, "nobody listens here")
socket.socket = Walled
unittest.main(module=None, argv=["walled", "discover", "-s", "tests", "-t", "."])
"""


@pytest.mark.parametrize("wall", ["", "--no-listening"])
def test_the_products_tests_pass_where_connections_are_forbidden(played: Played, tmp_path: Path, wall: str) -> None:
    (tmp_path / "walled.py").write_text(WALLED)
    code, output = run(played.merged, f"PYTHONPATH=. python3 -B '{tmp_path}/walled.py' {wall}")
    assert code == 0, output
    assert "PermissionError" not in output, "no refusal is to be explained to anybody"
    assert "\nOK\n" in output, "nothing is skipped: the confined agent sees every test run"


def test_the_checks_of_the_configuration_pass_at_every_stage(played: Played, tmp_path: Path) -> None:
    empty = repository.create(tmp_path / "before any work")
    specs = {check.name: check for check in load(empty / "multi-agent.yaml").checks}
    assert [spec.kind for spec in specs.values()] == ["tests", "tests_not_deleted", "migration_up_down", "secret_scan"]

    async def before() -> Path:
        return empty

    def measured(name: str, tree: Path) -> CheckRun:
        return asyncio.run(run_check(specs[name], tree, tmp_path / "scratch", SystemClock(), Around(base=before)))

    results = {name: measured(name, played.merged) for name in specs}
    assert {name: result.result for name, result in results.items()} == dict.fromkeys(specs, "pass"), results
    assert (results["tests"].value or 0) > 30
    assert measured("tests", empty).value == 2
    assert measured("secrets", empty).has_passed
    assert run(empty, "git status --porcelain --ignored") == (0, ""), "a check leaves nothing behind"


def test_the_product_is_written_for_the_oldest_python_we_support() -> None:
    modules = sorted((SCRIPTS / "files").rglob("*.py"))
    assert len(modules) >= 12
    for module in modules:
        ast.parse(module.read_text(encoding="utf-8"), str(module), feature_version=(3, 9))
