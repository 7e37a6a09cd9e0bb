"""A required check stands between an agent and the integration line, in a whole run; and checks work without a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import repos
from tests.support.cli import swarm
from tests.support.play import Play, handoff, plan, planned, played, use

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Event

pytestmark = pytest.mark.timeout(180)
CONFIG = """\
checks:
  - name: ready
    kind: tests
    command: "cat backend/report.xml >{report}"
  - name: secrets
    kind: secret_scan
    required: false
services:
  backend:
    directories: ["backend"]
"""
BAD = '<testsuite><testcase name="a"><failure message="no"/></testcase></testsuite>'
GOOD = '<testsuite><testcase name="a"/></testsuite>'
KEY = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = repos.small(tmp_path / "small")
    repos.write(root, "multi-agent.yaml", CONFIG)
    repos.commit_all(root, "Configure")
    yield root
    if SwarmClient(root).engine().is_alive:
        assert swarm("stop", cwd=root).returncode == 0


def events(root: Path) -> list[Event]:
    client = SwarmClient(root)
    run = client.latest()
    assert run is not None
    return client.reader(run).poll(max_bytes=1 << 24)


def test_an_approval_waits_until_a_required_check_passes(root: Path) -> None:
    """The operator says yes to everything: the task comes back with what is in the way, and lands when it is mended."""
    write = [use("Write", file_path="backend/report.xml", content=BAD)]
    mend = [use("Write", file_path="backend/report.xml", content=GOOD)]
    play = Play(
        {
            "architect": [[plan(planned("b", "backend", "Make it ready"))]],
            "backend": [write, [handoff("Done, all tests pass.")], [use("Read", file_path="backend/report.xml")], mend,
                        [handoff("Mended.")]],
        }
    )  # fmt: skip
    with played(play) as server:
        done = swarm("run", "Say hello", "--headless", "--yes", cwd=root, ANTHROPIC_BASE_URL=server.base_url,
                     ANTHROPIC_API_KEY="k")  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    told = events(root)
    opened = [event.data for event in told if event.kind == "gate.opened" and "merges" in event.data["summary"]]
    shown = [{check["name"]: check["status"] for check in data["checks"]} for data in opened]
    assert shown == [{"ready": "fail", "secrets": "pass", "claims": "fail"}, {"ready": "pass", "secrets": "pass"}]
    assert "ready is required and failed" in opened[0]["blockers"][0]
    verdicts = [event.data["verdict"] for event in told if event.kind == "gate.decided"]
    assert verdicts == ["approve", "reject", "approve", "approve"]
    measured = [event.data for event in told if event.kind.startswith("check.")]
    assert {data["tree"] for data in measured} == {"merged"}
    assert all((root / ".runs").glob(f"*/{data['evidence']}") for data in measured)
    assert (root / "backend/report.xml").read_text() == GOOD


def test_checks_run_without_a_run_and_exit_1_where_one_fails(root: Path) -> None:
    repos.write(root, "backend/report.xml", GOOD)
    good = swarm("check", cwd=root)
    assert (good.returncode, good.stdout.count("✓")) == (0, 2), good.stdout + good.stderr

    repos.write(root, "backend/pay.py", f'KEY = "{KEY}"\n')
    repos.write(root, "backend/report.xml", BAD)
    bad = swarm("check", "--json", cwd=root)
    found = {one["name"]: one for one in json.loads(bad.stdout)}
    assert bad.returncode == 1
    assert (found["ready"]["status"], found["secrets"]["status"]) == ("fail", "fail")
    assert found["secrets"]["findings"][0]["path"] == "backend/pay.py"
    assert KEY not in bad.stdout

    one = swarm("check", "secrets", cwd=root)
    assert (one.returncode, "ready" in one.stdout, "backend/pay.py:1" in one.stdout) == (1, False, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("check", "nothing"), 2, "there is no check 'nothing'"),
        (("check", "--base", "nowhere"), 2, "'nowhere' is not a commit"),
    ],
)
def test_a_wrong_question_is_answered_with_the_next_step(
    root: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = swarm(*arguments, cwd=root)
    assert (done.returncode, said in done.stderr, "next:" in done.stderr) == (code, True, True)


def test_the_working_tree_is_compared_with_a_commit(root: Path) -> None:
    config = "checks:\n  - {name: kept, kind: tests_not_deleted}\nservices:\n  backend: {directories: [backend]}\n"
    repos.write(root, "multi-agent.yaml", config)
    repos.write(root, "tests/test_a.py", "def test_a(): ...\ndef test_b(): ...\n")
    repos.commit_all(root, "feat: tests")
    before = repos.fingerprint(root)
    assert swarm("check", cwd=root).returncode == 0
    assert repos.fingerprint(root) == before

    repos.write(root, "tests/test_a.py", "def test_a(): ...\n")
    done = swarm("check", cwd=root)
    assert (done.returncode, "tests/test_a.py::test_b was deleted" in done.stdout) == (1, True)
    assert swarm("check", "--base", "HEAD~1", cwd=root).returncode == 0


def test_commands_of_claude_md_are_offered_and_not_run(tmp_path: Path) -> None:
    root = repos.small(tmp_path / "small")
    repos.write(root, "CLAUDE.md", "# Notes\n## Commands\n- test: `touch ran && make test`\n- run: `make serve`\n")
    made = swarm("init", cwd=root)
    assert '- name: test\n    command: "touch ran && make test"' in made.stdout
    assert "serve" not in made.stdout
    told = swarm("doctor", cwd=root)
    assert "CLAUDE.md:3 names a command that could be a check, test" in told.stdout
    assert not (root / "ran").exists()
    none = swarm("check", cwd=root)
    assert (none.returncode, "CLAUDE.md suggests test" in none.stderr) == (2, True)
