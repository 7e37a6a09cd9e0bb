"""What a newcomer's machine meets first: the pins, the package, the README, the way into an environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import swarm_core
from swarm_core.vocabulary import errors

TOP = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
README = (TOP / "README.md").read_text(encoding="utf-8")
MAKEFILE = (TOP / "Makefile").read_text(encoding="utf-8")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def files() -> list[Path]:
    """Every text file that belongs to the tree, with or without git at hand."""
    if (TOP / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True).stdout
        found = [TOP / name for name in listed.split("\0") if name]
    else:
        found = [p for p in TOP.rglob("*") if not any(part in (".venv", "__pycache__") for part in p.parts)]
    return [path for path in found if path.is_file() and path.suffix not in (".png", ".pyc")]


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    lines = (TOP / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 20
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9a-z.]*", line)] == []


def test_everything_we_ask_for_is_pinned() -> None:
    pinned = {canonical(line.split("==")[0]) for line in (TOP / "constraints.txt").read_text().splitlines()}
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *extras["test"], *extras["dev"]]
    names = {canonical(re.split(r"[\[<>=~! ]", text)[0]) for text in asked}
    assert names - {"swarm-tui"} <= pinned


def test_the_version_is_said_once() -> None:
    assert PROJECT["project"]["version"] == swarm_core.__version__
    assert f"## [{swarm_core.__version__}]" in (TOP / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_wheel_carries_code_scripts_catalog_and_themes() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["core/swarm_core", "tui/swarm_tui"]
    assert wheel["force-include"] == {"themes": "swarm_tui/themes"}
    engine = TOP / "core/swarm_core"
    packaged = {path.relative_to(engine).as_posix() for path in files() if path.is_relative_to(engine)}
    assert {
        "catalog/multi-agent.yaml",
        "catalog/scripts/rehearsal/_architect.yaml",
        "demo/scripts/backend.yaml",
        "demo/scripts/files/backend/server.py",
        "demo/template/gitignore",
        "demo/template/agent-artifacts/registry.yml",
    } <= packaged
    assert not [name for name in packaged if Path(name).name == ".gitignore"], "the build would obey it"


def test_no_file_names_a_package_registrys_host() -> None:
    hosts = ("python" + "hosted.org", "//py" + "pi.org", "registry.np" + "mjs", "deb.deb" + "ian.org", "index-" + "url")
    for path in files():
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [host for host in hosts if host in text], path


def test_the_readmes_commands_are_targets() -> None:
    promised = set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    assert {"demo", "test", "check"} <= promised <= targets
    assert "make check" in (TOP / ".ci/run").read_text()
    assert "make test" in (TOP / ".ci/run").read_text()


def test_the_readmes_links_lead_somewhere() -> None:
    for page in (TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))):
        for link in re.findall(r"(?<!!)\[[^]]*\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page}: {link}"


def test_the_guide_explains_every_exit_code_an_error_can_have() -> None:
    guide = (TOP / "docs/operators-guide.md").read_text(encoding="utf-8")
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", guide, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SwarmError)]
    assert {kind.exit_code for kind in kinds} | {0, 30, 130} == explained


# -- .ci/venv: how `make` finds a Python


def fake_python(directory: Path, name: str, version: int, *, lacks: str = "") -> None:
    """A program that answers as that Python would, and notes what else it was asked to do."""
    path = directory / name
    path.write_text(
        "#!/bin/sh\n"
        f'case "$*" in\n'
        f"*version_info*) echo {version};;\n"
        f"*'import venv, {lacks or 'nothing'}'*) exit 1;;\n"
        "*'import venv'*) ;;\n"
        f'*) echo "$0 $*" >> "{directory}/asked";;\n'
        "esac\n"
    )
    path.chmod(0o755)


def make_environment(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOP / ".ci/venv"), str(tmp_path / "new env"), *arguments],
        env={"PATH": f"{tmp_path}/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("sh", "rm"):
        (directory / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return directory


def test_the_newest_python_is_taken(tmp_path: Path, programs: Path) -> None:
    fake_python(programs, "python3", 311)
    fake_python(programs, "python3.12", 312)
    done = make_environment(tmp_path)
    assert done.returncode == 0, done.stderr
    assert (programs / "asked").read_text() == f"{programs}/python3.12 -m venv --clear {tmp_path}/new env\n"


def test_a_python_that_is_named_is_taken(tmp_path: Path, programs: Path) -> None:
    fake_python(programs, "python3", 312)
    fake_python(programs, "my python", 311)
    assert make_environment(tmp_path, str(programs / "my python")).returncode == 0
    assert (programs / "asked").read_text().startswith(f"{programs}/my python -m venv")


@pytest.mark.parametrize("version", [309, 310])
def test_a_python_that_is_too_old_is_one_clear_line(tmp_path: Path, programs: Path, version: int) -> None:
    fake_python(programs, "python3", version)
    done = make_environment(tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs Python 3.11 or newer; found: python3 (3." in done.stderr
    assert not (tmp_path / "new env").exists()


def test_no_python_at_all_is_one_clear_line(tmp_path: Path, programs: Path) -> None:
    done = make_environment(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "found: none" in done.stderr


def test_a_python_without_venv_is_one_clear_line(tmp_path: Path, programs: Path) -> None:
    fake_python(programs, "python3", 311)
    text = (programs / "python3").read_text().replace("*'import venv'*) ;;", "*'import venv'*) exit 1;;")
    (programs / "python3").write_text(text)
    done = make_environment(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "apt install python3-venv" in done.stderr


def test_without_ensurepip_the_machines_own_pip_helps(tmp_path: Path, programs: Path) -> None:
    fake_python(programs, "python3", 311, lacks="ensurepip")
    assert make_environment(tmp_path).returncode == 0
    asked = (programs / "asked").read_text().splitlines()
    assert "--without-pip" in asked[0]
    assert asked[1].endswith("install pip")


def test_a_directory_that_is_no_environment_is_never_cleared(tmp_path: Path, programs: Path) -> None:
    fake_python(programs, "python3", 311)
    (tmp_path / "new env").mkdir()
    (tmp_path / "new env" / "thesis.txt").write_text("ten years")
    done = make_environment(tmp_path)
    assert done.returncode == 1
    assert "not a virtual environment" in done.stderr
    assert (tmp_path / "new env" / "thesis.txt").exists()


def test_an_environment_that_was_moved_is_made_again(tmp_path: Path) -> None:
    top = tmp_path / "a checkout"
    top.mkdir()
    (top / "Makefile").write_text(MAKEFILE)
    (top / ".venv").mkdir()
    (top / ".venv/.made-in").write_text("/somewhere/else\n")
    (top / ".venv/.ready").touch()
    for name in ("pyproject.toml", "constraints.txt"):
        (top / name).touch()
    environment = {"PATH": os.environ["PATH"]}
    plan = subprocess.run(
        ["make", "-n", "demo"], cwd=top, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert ".ci/venv" in plan
    (top / ".venv/.made-in").write_text(f"{top}\n")
    os.utime(top / "pyproject.toml", (1, 1))
    os.utime(top / "constraints.txt", (1, 1))
    (top / ".venv/.ready").touch()
    warm = subprocess.run(
        ["make", "-n", "demo"], cwd=top, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert warm.split() == [".venv/bin/swarm-tui", "demo"]


def test_the_oldest_python_we_promise_is_the_one_we_check_for() -> None:
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)
    assert "-lt 311" in (TOP / ".ci/venv").read_text()
