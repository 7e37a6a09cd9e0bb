"""Scripts: everything is checked when they are read, and a mistake is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.agents.script import When, load_scripts
from swarm_core.vocabulary.errors import ConfigurationError

GOOD = """\
- when: {task: "Build*", iteration: ">1"}
  think: Hm.
  say: I write.
  do:
    - {tool: Write, args: {file_path: a.py}, file: files/a.py}
    - {tool: Bash, args: {command: ls, since: 2026-11-21}}
  usage: {in: 10, out: 2}
  pause: 1.5
  fault: api_529
- say: Done.
"""


def scripts(tmp_path: Path, text: str) -> Path:
    directory = tmp_path / "scripts"
    (directory / "files").mkdir(parents=True)
    (directory / "files" / "a.py").write_text("A = 1\n")
    (directory / "backend.yaml").write_text(text)
    return directory


def test_a_script_is_read_with_its_files(tmp_path: Path) -> None:
    first, last = load_scripts(scripts(tmp_path, GOOD))["backend"].turns

    assert first.when == When("Build*", 1, is_later=True)
    assert first.do[0].args == {"file_path": "a.py", "content": "A = 1\n"}
    assert first.do[1].args["since"] == "2026-11-21", "a date stays text"
    assert (first.input_tokens, first.output_tokens, first.pause_s, first.fault) == (10, 2, 1.5, "api_529")
    assert last.say == "Done."


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("- say: a\n- sya: b\n", 2, "unknown key 'sya'"),
        ("- say: a\n  say: b\n", 2, "'say' twice"),
        ("- say: a\n\n- usage: {in: x}\n  say: b\n", 3, "usage.in must be a whole number"),
        ("- say: 12\n", 1, "say must be a text"),
        ("- say: a\n  pause: -1\n", 2, "must not be negative"),
        ("- say: a\n  pause: .inf\n", 2, "endless"),
        ("- say: a\n  pause: true\n", 2, "pause must be a number"),
        ("- say: a\n  fault: fire\n", 2, "fault 'fire'"),
        ("- pause: 1\n", 1, "at least one of think, say and do"),
        ("- say: a\n  when: {iteration: soon}\n", 2, "iteration must be a number"),
        ("- say: a\n  when: {iteration: 0}\n", 2, "iteration must be a number"),
        ("- do:\n    - {args: {}}\n", 2, "needs a tool"),
        ("- do:\n    - {tool: X, args: [1]}\n", 2, "args must be a mapping"),
        ("- do:\n    - {tool: X, args: {a: {1: b}}}\n", 2, "cannot be sent as JSON"),
        ("- do:\n    - {tool: X, args: {a: !!set {b}}}\n", 2, "cannot be sent as JSON"),
        ("- do: {tool: X}\n", 1, "do must be a list"),
        ("say: a\n", 1, "a script must be a list"),
        ("- do:\n    - {tool: X, file: ../secret}\n", 2, "not inside"),
        ("- do:\n    - {tool: X, file: /etc/passwd}\n", 2, "not inside"),
        ("- do:\n    - {tool: X, file: files/link}\n", 2, "not inside"),
        ("- do:\n    - {tool: X, file: files/none}\n", 2, "cannot be read"),
        ("- do:\n    - {tool: X, args: {content: a}, file: files/a.py}\n", 2, "either"),
        ("- say: [\n", 2, "not YAML"),
        ("- say: !!python/object:os.system x\n", 1, "cannot be read"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    directory = scripts(tmp_path, text)
    (tmp_path / "secret").write_text("secret")
    (directory / "files" / "link").symlink_to(tmp_path / "secret")

    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load_scripts(directory)
    assert (caught.value.path, caught.value.line) == (directory / "backend.yaml", line)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        load_scripts(tmp_path / "nowhere")


def test_which_work_a_turn_is_for() -> None:
    assert When().fits("task_001", "Anything", 7)
    assert When("task_00?").fits("task_001", "Anything", 7)
    assert When("Build *", 2).fits("task_001", "Build it", 2)
    assert not When("Build *", 2).fits("task_001", "Build it", 1)
    assert not When("build *").fits("task_001", "Build it", 1)
    assert When(iteration=1, is_later=True).fits("t", "T", 2)
    assert not When(iteration=1, is_later=True).fits("t", "T", 1)
