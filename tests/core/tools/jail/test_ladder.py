"""A confinement is believed after it was tried, shows what it should and nothing around it, and fails closed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.tools import KINDS

from swarm_core.tools.jail import choice
from swarm_core.tools.jail.canary import Proof
from swarm_core.tools.jail.choice import candidates, choose, prove
from swarm_core.tools.jail.ladder import Kind, prepare
from swarm_core.tools.jail.reach import Reach, machine_roots, reach_of, spread, unreadable_by_others
from swarm_core.tools.jail.seatbelt import PROGRAM, profile, wrapped
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.spec import ServiceSpec

needs_kinds = pytest.mark.skipif(not KINDS, reason="nothing here confines a process")


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    for name in ("tree/own", "tree/other", "scratch", "store", "secret"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("tree/own/a", "tree/other/b", "store/object", "secret/key"):
        (tmp_path / name).write_text(f"in {name}\n")
    scope = Scope(tmp_path / "tree", ServiceSpec("own", directories=("own",)), tmp_path / "scratch")
    return reach_of(scope, tmp_path / "scratch", borrows=[tmp_path / "store"])


def inside(kind: Kind, reach: Reach, command: str) -> str:
    with prepare(kind, reach) as jail:
        done = subprocess.run(
            jail.wrap(["bash", "-c", command], reach.tree),
            cwd=reach.tree,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(reach.scratch / "tmp")},
            capture_output=True,
            text=True,
            preexec_fn=jail.in_child,
            pass_fds=jail.pass_fds,
            timeout=20,
            check=False,
        )
    return done.stdout + done.stderr


def test_without_confinement_every_canary_dies() -> None:
    assert prove("none").broken == [
        "write outside",
        "read a secret",
        "connect",
        "send a datagram",
        "signal",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_this_machine_has_holds(kind: Kind) -> None:
    assert prove(kind).holds, prove(kind)


def test_what_landlock_cannot_do_on_an_old_kernel_is_shown_and_forgiven() -> None:
    old = (("write outside", True), ("signal", False))
    assert Proof("landlock", old).holds
    assert Proof("landlock", old).broken == ["signal"]
    assert not Proof("bubblewrap", old).holds


@pytest.mark.parametrize("setting", ["auto", "bubblewrap", "landlock"])
def test_nothing_is_chosen_that_does_not_hold(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "prove", lambda kind: Proof(kind, (("read a secret", False),)))
    choose.cache_clear()
    try:
        with pytest.raises(PermissionDenied, match="cannot be confined") as refused:
            choose(setting)
        assert choose("none") == "none"
    finally:
        choose.cache_clear()
    assert "confinement: none" in refused.value.hint


def test_the_best_that_holds_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "candidates", lambda setting: ("bubblewrap", "landlock"))
    monkeypatch.setattr(choice, "prove", lambda kind: Proof(kind, (("start", kind == "landlock"),)))
    choose.cache_clear()
    try:
        assert choose("auto") == "landlock"
    finally:
        choose.cache_clear()


@pytest.mark.parametrize("setting", ["bubblewrap", "landlock"])
def test_a_named_kind_is_the_only_candidate(setting: str) -> None:
    assert set(candidates(setting)) <= {setting}


@pytest.mark.parametrize("kind", KINDS)
def test_the_reach_is_readable_and_its_own_part_writable(kind: Kind, reach: Reach) -> None:
    said = inside(kind, reach, f"cat own/a other/b {reach.roots[-1]}/object; echo x > own/new; echo y > $TMPDIR/t; pwd")
    assert said == f"in tree/own/a\nin tree/other/b\nin store/object\n{reach.tree}\n"
    assert (reach.tree / "own/new").read_text() == "x\n"
    assert (reach.scratch / "tmp/t").read_text() == "y\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_reads_its_directories_alone_reads_no_others(kind: Kind, reach: Reach) -> None:
    said = inside(kind, replace(reach, readable=(("own",),)), "cat own/a other/b")
    assert "in tree/own/a" in said
    assert "in tree/other/b" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_inside_a_root_is_hidden_and_what_is_opened_in_it_is_open(
    kind: Kind, reach: Reach, tmp_path: Path
) -> None:
    for name in ("opt/tool", "opt/desk/.git/objects"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("opt/tool/t", "opt/desk/.env", "opt/desk/.git/config", "opt/desk/.git/objects/o"):
        (tmp_path / name).write_text(f"in {name}\n")
    opened = replace(
        reach,
        roots=(*reach.roots, tmp_path / "opt", tmp_path / "opt/desk/.git/objects"),
        hidden=(*reach.hidden, tmp_path / "opt/desk"),
    )
    said = inside(
        kind, opened, f"cd {tmp_path}/opt; cat tool/t desk/.git/objects/o desk/.env desk/.git/config; ls desk"
    )
    assert "in opt/tool/t" in said
    assert "in opt/desk/.git/objects/o" in said
    assert "in opt/desk/.env" not in said
    assert "in opt/desk/.git/config" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_no_descriptor_of_the_engine_is_inherited(kind: Kind, reach: Reach) -> None:
    directory = os.open(reach.tree.parent, os.O_RDONLY)
    os.set_inheritable(directory, True)
    try:
        said = inside(kind, reach, "for fd in /proc/$$/fd/*; do readlink $fd; done")
    finally:
        os.close(directory)
    assert not [line for line in said.splitlines() if line.startswith(str(reach.tree.parent))], said


@needs_kinds
def test_what_is_planted_where_temporary_files_go_is_taken_away(reach: Reach) -> None:
    (reach.scratch / "tmp").symlink_to(reach.tree.parent / "secret")
    inside(KINDS[-1], reach, "echo x > $TMPDIR/key")
    assert (reach.tree.parent / "secret/key").read_text() == "in secret/key\n"
    assert not (reach.scratch / "tmp").is_symlink()


def test_a_home_is_no_root_even_if_its_programs_are_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for name in (".local/bin", ".cargo/bin", "tools/node/bin"):
        (home / name).mkdir(parents=True)
    path = [home / ".local/bin", home / ".cargo/bin", home / "tools/node/bin", home, "", "."]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, path)))
    roots = machine_roots((home,))
    assert home / ".local/bin" in roots
    assert home / ".local" not in roots, "beside the programs lie keyrings and other people's trees"
    assert home / "tools/node" in roots
    assert not [root for root in roots if home.is_relative_to(root)]


def test_what_others_may_not_read_in_etc_is_hidden(tmp_path: Path) -> None:
    for name, mode in (("etc/public", 0o644), ("etc/shadow", 0o640), ("etc/ssl/private/key", 0o600)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        file.chmod(mode)
    (tmp_path / "etc/ssl/private").chmod(0o700)
    hidden = unreadable_by_others(tmp_path / "etc")
    assert set(hidden) == {tmp_path / "etc/shadow", tmp_path / "etc/ssl/private"}
    assert set(spread([tmp_path / "etc"], hidden)) == {tmp_path / "etc/public"}


def test_the_profile_for_macos_says_what_the_reach_says(reach: Reach) -> None:
    """Its text; there is no such machine here to run it on."""
    hidden, root = Path("/Users/ada"), Path("/Users/ada/.pyenv")
    text = profile(replace(reach, roots=(Path("/usr"), root), hidden=(hidden,), port=8123))
    lines = text.splitlines()

    assert lines[:2] == ["(version 1)", "(deny default)"]
    order = [
        '(allow file-read* (subpath "/usr"))',
        f'(deny file-read* (subpath "{hidden}"))',
        f'(allow file-read* (subpath "{root}"))',
        f'(allow file-read* (subpath "{reach.tree}"))',
        f'(allow file-write* (subpath "{reach.tree}/own"))',
        f'(deny file-write* (subpath "{reach.tree}/.git"))',
    ]
    assert [lines.index(line) for line in order] == sorted(lines.index(line) for line in order)
    assert '(allow network-outbound (remote ip "localhost:8123"))' in lines
    assert f'(allow file-write* (subpath "{reach.tree}"))' not in lines
    assert "network" not in profile(replace(reach, port=0)), "nothing is allowed that is not written"
    assert wrapped(reach, ["bash"])[:2] == [PROGRAM, "-p"]
    assert '\\"' in profile(replace(reach, tree=Path('/a"b')))
