"""A secret in the engine's environment and one in a file of the repository, and an agent that tells both everywhere.

It prints them, whole and in pieces, says and thinks them, writes them, commits them and hands them off; and they are in
no journal, log, transcript, receipt, commit or screen.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import repos
from tests.support.cli import swarm
from tests.support.play import Play, handoff, plan, planned, played, say, think, use

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.layout import RepoLayout

pytestmark = pytest.mark.timeout(120)
KEY = "sk-ant-loopback-5d41402abc4b2a76b9719d911017c592"
IN_ENVIRONMENT, IN_FILE = "canary-env-81f3a9c2d7", "canary-file-5be07d11f4"
ALL = (KEY, IN_ENVIRONMENT, IN_FILE)
CONFIG = """\
services:
  backend:
    directories: ["backend"]
checks:
  - name: prints
    command: "cat backend/*; printf '%s' canary-file-5be0 7d11f4"
"""


def in_pieces(secret: str) -> str:
    """A command that prints a secret which is not written in it."""
    return f"printf '%s%s\\n' '{secret[:12]}' '{secret[12:]}'"


TURNS = [
    [
        think(f"The token is {IN_ENVIRONMENT}."),
        say(f"I print {IN_FILE} and {IN_ENVIRONMENT}, " + "word " * 150 + f"{IN_FILE}"),
        use("Bash", command=f"echo {IN_FILE}; {in_pieces(IN_FILE)}; {in_pieces(IN_ENVIRONMENT)} | base64"),
        use("Bash", command="cat ../../../.env ~/.env; env; cat /proc/$PPID/environ"),
    ],
    [
        use("Write", file_path="backend/told.txt", content=f"token = {IN_ENVIRONMENT}\n"),
        use("Bash", command=f"{in_pieces(IN_FILE)} > backend/leak.txt; echo 'fine' > backend/fine.txt"),
        use("Read", file_path="backend/leak.txt"),
        use("Grep", pattern="canary", output_mode="content"),
        use("Read", file_path=f"backend/{IN_FILE}"),
    ],
    [use("commit", message=f"feat: add {IN_FILE}\n\nThe token is {IN_ENVIRONMENT}.")],
    [use("commit", message="feat: once more")],
    [handoff(f"I left {IN_FILE} and {IN_ENVIRONMENT} in backend/leak.txt.")],
]


@dataclass
class Told:
    """A run that is over, and everything it left."""

    root: Path
    state: Path
    play: Play
    code: int
    output: str

    def events(self) -> list[Event]:
        client = SwarmClient(self.root)
        return client.reader(str(client.latest())).poll(max_bytes=1 << 24)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    top = tmp_path_factory.mktemp("told")
    root = repos.small(top / "repo")
    repos.write(root, "backend/app.py", "print(1)\n")
    repos.write(root, "multi-agent.yaml", CONFIG)
    repos.commit_all(root, "configure")
    repos.write(root, ".env", f"# local\nexport SERVICE_TOKEN='{IN_FILE}'\nPORT=8080\n")
    (top / "home").mkdir()
    environment = {
        "HOME": str(top / "home"),
        "XDG_STATE_HOME": str(top / "state"),
        "ANTHROPIC_API_KEY": KEY,
        "DEPLOY_TOKEN": IN_ENVIRONMENT,
    }
    play = Play({"architect": [[plan(planned("b", "backend", "Tell it"))]], "backend": TURNS})
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "GIT_", "SWARM_", "XDG_"))]:
            patch.delenv(name)
        with played(play) as server:
            said = [
                swarm(
                    "run", "Tell it", "--headless", "--yes", cwd=root, ANTHROPIC_BASE_URL=server.base_url, **environment
                )
            ]
            said += [swarm(*words, cwd=root, **environment) for words in (["status"], ["events"], ["logs"], ["replay"])]
            swarm("stop", cwd=root, **environment)
    output = "\n".join(done.stdout + done.stderr for done in said)
    return Told(root, top / "state", play, said[0].returncode, output)


def test_the_run_went_through(told: Told) -> None:
    assert told.code == 0, told.output[-3000:]
    assert repos.git(told.root, "show", "main:backend/fine.txt") == "fine"
    assert "token = [secret]" in repos.git(told.root, "show", "main:backend/told.txt")


def test_no_journal_log_transcript_receipt_or_document_holds_a_secret(told: Told) -> None:
    texts = {
        path: path.read_bytes()
        for top in (told.root / ".runs", told.root / ".multi-agent")
        for path in top.rglob("*")
        if path.is_file()
    }
    assert any("transcripts" in path.parts for path in texts)
    assert any(path.suffix == ".log" for path in texts)
    assert any("receipt" in path.name for path in texts)
    for path, data in texts.items():
        for secret in ALL:
            assert secret.encode() not in data, path
            assert base64.b64encode(secret.encode())[:-4] not in data, path


def test_no_commit_of_anybody_holds_a_secret(told: Told) -> None:
    layout = RepoLayout(told.root)
    hub = next((told.state / "swarm-tui").glob(f"{layout.key}/*/hub.git"))
    for repository in (told.root, hub):
        objects = repos.git_bytes(repository, "cat-file", "--batch-all-objects", "--batch", "--buffer")
        for secret in ALL:
            assert secret.encode() not in objects, repository


def test_no_screen_shows_a_secret(told: Told) -> None:
    assert "[secret]" in told.output
    for secret in ALL:
        assert secret not in told.output


def test_the_model_is_not_told_what_a_command_printed(told: Told) -> None:
    results = [text for text, _ in told.play.results("backend")]
    assert sum("[secret]" in text for text in results) >= 3
    for secret in ALL:
        assert not any(secret in text for text in results)


def test_a_commit_with_a_secret_is_refused_and_says_where(told: Told) -> None:
    refused = [e.data for e in told.events() if e.kind == "policy.denied" and e.data["rule"] == "secret"]
    assert len(refused) == 3, "twice by the agent, once at the handoff"
    assert "backend/leak.txt line 1" in refused[0]["message"]
    assert refused[2]["target"] == "backend/leak.txt"
    kept = list((told.state / "swarm-tui").rglob("quarantine/*/*/backend/leak.txt"))
    assert [path.read_text() for path in kept] == [f"{IN_FILE}\n"], "what was taken out is not lost"
