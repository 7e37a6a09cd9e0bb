"""What CLAUDE.md names is offered if it measures something, whole and clean, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.definitions.suggestions import commands_in, suggested

PAGE = """\
# Notes
- test: `not in the section`
## Commands
- **test**: `npm test`
- `ruff check .`: lint
- run: `npm run dev`
* Watch the tests: `npm run test:watch`

```bash
# Type check
mypy src
make lint   # all linters
npm install
```
### Coverage
```
pytest --cov
```
| command | what |
|---|---|
| `npm audit` | audit |
## Architecture
- test: `rm -rf /`
"""


def test_lists_fences_and_tables_of_the_section_are_read() -> None:
    assert [(one.line, one.name, one.command) for one in commands_in(PAGE)] == [
        (4, "test", "npm test"),
        (5, "lint", "ruff check ."),
        (11, "type-check", "mypy src"),
        (12, "all-linters", "make lint"),
        (17, "coverage", "pytest --cov"),
        (21, "audit", "npm audit"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "## Commands\n",
        "## Commands\n- test: `a\x1b]0;x\x07 test`\n",
        "## Commands\n- test: `" + "x" * 400 + "`\n",
        "## Commands\n```\n",
        "- test: `npm test`\n",
    ],
)
def test_what_cannot_be_offered_is_left_out(text: str) -> None:
    assert commands_in(text) == []


def test_it_is_written_so_that_yaml_reads_it_back() -> None:
    import yaml

    (one,) = commands_in("## Commands\n- test: `echo \"a: #b\" 'c' && pytest`\n")
    assert yaml.safe_load(one.yaml) == [{"name": "test", "command": "echo \"a: #b\" 'c' && pytest"}]


def test_a_link_a_directory_and_bytes_that_are_no_text_suggest_nothing(tmp_path: Path) -> None:
    assert suggested(tmp_path) == []
    (tmp_path / "other.md").write_text("## Commands\n- test: `npm test`\n")
    (tmp_path / "CLAUDE.md").symlink_to("other.md")
    assert suggested(tmp_path) == []
    (tmp_path / "CLAUDE.md").unlink()
    (tmp_path / "CLAUDE.md").mkdir()
    assert suggested(tmp_path) == []
    (tmp_path / "CLAUDE.md").rmdir()
    (tmp_path / "CLAUDE.md").write_bytes(b"## Commands\n- \xff test: `npm test`\n")
    assert [one.command for one in suggested(tmp_path)] == ["npm test"]
