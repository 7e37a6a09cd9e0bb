"""Checks that read a tree: each passes, fails with file and line, says when it cannot tell, and breaks without harm."""

from __future__ import annotations

import json
import os
import time
from fractions import Fraction
from pathlib import Path

import pytest
from tests.support.measuring import fill, measure

from swarm_core.checks.collect import test_names as names_of
from swarm_core.checks.files import patterns
from swarm_core.checks.licences import judge as judge_licence

# Put together here, so that this file itself holds no secret.
STRIPE = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
AWS = "AKIA" + "IOSFODNN7REALKEY"[:16]


# -- compile


async def test_files_that_compile_pass(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"a.py": "x = 1\n", "b.js": "const a = 1\n"}), "kind: compile")
    assert (found.result, found.note) == ("pass", "2 files")


async def test_a_file_that_does_not_compile_is_named_with_its_line(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"a.py": "x = 1\ndef f(:\n", "b.js": "let a = 1;\nlet = ;\n", "c.py": "return 1\n"})
    found = await measure(place, "kind: compile")

    assert found.result == "fail"
    assert [one.place for one in found.found] == ["a.py:2", "c.py:1", "b.js:2"]


async def test_without_node_scripts_are_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await measure(fill(tmp_path / "t", {"b.js": "const a = 1\n"}), "kind: compile")
    assert (found.result, found.has_passed) == ("not_measured", False)
    assert "install node" in found.hint


@pytest.mark.parametrize("kind", ["compile", "complexity", "sast_min", "html_a11y", "license", "migration_up_down"])
async def test_a_tree_with_nothing_to_look_at_is_not_measured(tmp_path: Path, kind: str) -> None:
    found = await measure(fill(tmp_path / "t", {"notes.txt": "hello\n"}), f"kind: {kind}")
    assert (found.result, found.has_passed) == ("not_measured", False)
    assert found.hint


@pytest.mark.parametrize("kind", ["compile", "complexity", "sast_min"])
async def test_a_file_made_to_break_the_parser_breaks_the_measurement_at_most(tmp_path: Path, kind: str) -> None:
    place = fill(tmp_path / "t", {"bomb.py": "(" * 100_000, "deep.py": "x = " + "-" * 200_000 + "1"})
    found = await measure(place, f"kind: {kind}")
    assert found.result in ("fail", "error", "not_measured")


async def test_a_measurement_that_hangs_is_stopped(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"m/001_a.sql": SPIN})
    began = time.monotonic()
    found = await measure(place, "kind: migration_up_down, directory: m, timeout: 1s")
    assert (found.result, time.monotonic() - began < 15) == ("error", True)
    assert "after 1 s" in found.detail


SPIN = """\
-- up
CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n;
-- down
DROP TABLE t;
"""


# -- complexity

TANGLED = "def f(a):\n" + "".join(f"    if a == {n}:\n        return {n}\n" for n in range(16))


async def test_the_highest_complexity_is_the_value_and_its_place_is_told(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"a.py": "def g():\n    return 1\n", "src/b.py": TANGLED})
    found = await measure(place, "kind: complexity")

    assert [found.result, found.value] == ["fail", 17]
    assert (found.found[0].place, found.found[0].message) == ("src/b.py:1", "f has 17")
    assert (await measure(place, 'kind: complexity, threshold: "<= 17"')).result == "pass"


async def test_complexity_of_a_file_that_cannot_be_parsed_is_not_measured(tmp_path: Path) -> None:
    assert (await measure(fill(tmp_path / "t", {"a.py": "def f(:\n"}), "kind: complexity")).result == "not_measured"


# -- secrets


async def test_a_secret_is_found_and_never_shown(tmp_path: Path) -> None:
    place = fill(
        tmp_path / "t",
        {
            "pay.py": f'import os\nKEY = "{STRIPE}"\n',
            "deploy.yml": f"env:\n  id: {AWS}\n",
            "k.pem": "-----BEGIN RSA " + "PRIVATE KEY-----\nabc\n",
            "url.txt": "postgres://admin:" + "hunter2hunter2" + "@db/prod\n",
            "conf.ini": "db_password = " + "'q8Zk2LmN0pRs7TuV'" + "\n",
            "blob.bin": b"\0\1" + STRIPE.encode(),
        },
    )
    found = await measure(place, "kind: secret_scan")

    assert found.result == "fail"
    assert [one.place for one in found.found] == [
        "blob.bin:1", "conf.ini:1", "deploy.yml:2", "k.pem:1", "pay.py:2", "url.txt:1",
    ]  # fmt: skip
    shown = "\n".join([found.evidence(), found.detail, *found.tail])
    for secret in (STRIPE, AWS, "hunter2hunter2", "q8Zk2LmN0pRs7TuV"):
        assert secret not in shown


async def test_words_placeholders_and_references_are_no_secrets(tmp_path: Path) -> None:
    text = (
        'password = "correct horse battery"\napi_key = os.environ["API_KEY"]\ntoken: ${TOKEN}\n'
        'secret = "your-secret-here"\npassword = "changeme1234"\nsha = "0123456789abcdef"\n'
        "url = https://user:password@example.com\ntoken = settings.auth.token_value\n"
    )
    found = await measure(fill(tmp_path / "t", {"a.py": text}), "kind: secret_scan")
    assert (found.result, [one.text for one in found.found]) == ("pass", [])


async def test_nothing_in_a_file_can_switch_the_scan_off(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"a.py": f'K = "{STRIPE}"  # nosec noqa pragma: allowlist secret\n'})
    assert (await measure(place, "kind: secret_scan")).result == "fail"
    assert (await measure(place, "kind: secret_scan, exclude: [a.py], paths: ['*']")).result == "not_measured"


async def test_a_file_too_large_to_be_looked_at_is_no_pass(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"a.txt": "fine\n"})
    fill(place, {"big.txt": ""})
    os.truncate(place / "big.txt", 50 << 20)
    found = await measure(place, "kind: secret_scan")
    assert found.result == "not_measured"
    assert "big.txt" in found.note


async def test_links_are_not_followed_out_of_the_tree(tmp_path: Path) -> None:
    fill(tmp_path, {"outside/a.py": f'K = "{STRIPE}"\n'})
    place = fill(tmp_path / "t", {"b.py": "x = 1\n"})
    (place / "a.py").symlink_to(tmp_path / "outside/a.py")
    (place / "d").symlink_to(tmp_path / "outside")
    assert (await measure(place, "kind: secret_scan")).result == "pass"


# -- SAST

WEAK = """\
import subprocess as sp, hashlib, pickle, yaml, tempfile
from os import system
def f(db, name, data):
    system("ls " + name)
    sp.run(name, shell=True)
    eval(name)
    yaml.load(data)
    pickle.loads(data)
    hashlib.md5(data)
    tempfile.mktemp()
    db.execute(f"SELECT * FROM users WHERE name = '{name}'")
    db.execute("DELETE FROM t WHERE a = %s" % name)
"""
FINE = """\
import subprocess, hashlib, yaml
def f(db, name, data):
    subprocess.run(["ls", name], shell=False)
    yaml.load(data, Loader=yaml.SafeLoader)
    yaml.safe_load(data)
    hashlib.md5(data, usedforsecurity=False)
    hashlib.sha256(data)
    db.execute("SELECT * FROM users WHERE name = ?", (name,))
    db.execute("SELECT 1 " + "FROM t")
    eval("1 + 1")
"""


async def test_each_weak_place_is_found_by_its_line(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"a.py": WEAK}), "kind: sast_min")
    assert found.result == "fail"
    assert sorted((one.line, one.rule) for one in found.found) == [
        (4, "shell"), (5, "shell"), (6, "eval"), (7, "yaml"), (8, "pickle"), (9, "weak-hash"), (10, "mktemp"),
        (11, "sql"), (12, "sql"),
    ]  # fmt: skip
    assert [one.severity for one in found.found] == sorted(
        (one.severity for one in found.found), key=["HIGH", "MEDIUM", "LOW"].index
    )


async def test_the_safe_way_to_write_it_is_not_found(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"a.py": FINE}), "kind: sast_min")
    assert (found.result, [one.text for one in found.found]) == ("pass", [])


async def test_below_the_level_nothing_is_found(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"a.py": "import hashlib\nhashlib.md5(b'')\n"})
    assert (await measure(place, "kind: sast_min, level: HIGH")).result == "pass"
    assert (await measure(place, "kind: sast_min, level: medium")).result == "fail"


# -- licences


def packages(place: Path, **licences: str) -> Path:
    """A tree that declares packages, each installed in its .venv with this licence."""
    names = ", ".join(f'"{name}>=1"' for name in licences)
    fill(place, {"pyproject.toml": f'[project]\nname = "x"\ndependencies = [{names}]\n'})
    for name, licence in licences.items():
        home = f".venv/lib/python3.11/site-packages/{name}-1.0.dist-info"
        fill(place, {f"{home}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{licence}\n\n"})
    return place


async def test_licences_that_may_be_used_pass(tmp_path: Path) -> None:
    approved = "Classifier: License :: OSI Approved :: MIT License"
    place = packages(tmp_path / "t", alpha="License-Expression: MIT", beta=approved, gamma="License: Apache-2.0")
    found = await measure(place, "kind: license")
    assert (found.result, found.note) == ("pass", "3 of 3 licences known")
    assert (await measure(place, "kind: license, allow: [MIT, Apache-2.0]")).result == "pass"


async def test_a_licence_that_is_denied_fails_and_is_named(tmp_path: Path) -> None:
    place = packages(tmp_path / "t", alpha="License-Expression: AGPL-3.0-only", beta="License: MIT")
    found = await measure(place, "kind: license")
    assert (found.result, found.found[0].path) == ("fail", "pyproject.toml")
    assert found.found[0].message.startswith("alpha: AGPL-3.0-only")


async def test_a_package_that_is_not_installed_is_not_measured(tmp_path: Path) -> None:
    place = packages(tmp_path / "t", alpha="License: MIT")
    fill(place, {"requirements.txt": "delta==1.0  # not there\n-r other.txt\n"})
    found = await measure(place, "kind: license")
    assert (found.result, "delta" in found.note) == ("not_measured", True)


async def test_javascript_packages_are_looked_up_where_they_are_installed(tmp_path: Path) -> None:
    place = fill(
        tmp_path / "t",
        {
            "package.json": json.dumps({"dependencies": {"left": "^1", "@org/right": "^2"}}),
            "node_modules/left/package.json": json.dumps({"license": "ISC"}),
            "node_modules/@org/right/package.json": json.dumps({"license": {"type": "SSPL-1.0"}}),
        },
    )
    found = await measure(place, "kind: license")
    assert [one.message for one in found.found] == ["npm:@org/right: SSPL-1.0 is denied"]


async def test_a_broken_declaration_is_an_error_with_its_file(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"pyproject.toml": "[project\n"}), "kind: license")
    assert (found.result, "pyproject.toml" in found.note) == ("error", True)


@pytest.mark.parametrize(
    ("licence", "allow", "deny", "is_fine"),
    [
        ("MIT OR GPL-3.0", (), (), True),
        ("MIT AND GPL-3.0", (), (), False),
        ("LGPL-3.0", (), (), True),
        ("GNU GPL v3", (), (), False),
        ("BSD-3-Clause", ("MIT", "BSD"), (), True),
        ("Zlib", ("MIT",), (), False),
        ("MIT", (), ("MIT",), False),
    ],
)
def test_expressions_are_judged_by_their_parts(
    licence: str, allow: tuple[str, ...], deny: tuple[str, ...], is_fine: bool
) -> None:
    assert (judge_licence(licence, allow, deny) == "") is is_fine


# -- migrations

USERS = "-- up\nCREATE TABLE users (id INTEGER PRIMARY KEY);\n-- down\nDROP TABLE users;\n"
PHONE = "ALTER TABLE users ADD COLUMN phone_number TEXT;"


async def test_migrations_that_take_back_what_they_did_pass(tmp_path: Path) -> None:
    files = {
        "migrations/001_users.sql": USERS,
        "migrations/002_phone.up.sql": PHONE,
        "migrations/002_phone.down.sql": "ALTER TABLE users DROP COLUMN phone_number;",
    }
    found = await measure(fill(tmp_path / "t", files), "kind: migration_up_down")
    assert (found.result, found.note, found.found) == ("pass", "2 migrations, up and down", ())


@pytest.mark.parametrize(
    ("second", "place", "message"),
    [
        (f"-- up\n{PHONE}\n-- down\nSELECT 1;\n", "m/002_b.sql:3", "down does not take up back: table users is not as"),
        ("-- up\nCREATE TABLE b (i);\n-- down\n", "m/002_b.sql:3", "down does not take up back: table b is left"),
        ("-- up\nCREATE TABEL b (i);\n-- down\n", "m/002_b.sql:1", "up failed: near"),
        ("-- up\nCREATE TABLE b (i);\n-- down\nDROP TABLE c;\n", "m/002_b.sql:3", "down failed: no such table"),
        ("-- up\nBEGIN; CREATE TABLE b (i);\n-- down\n", "m/002_b.sql:1", "up leaves a transaction open"),
        ("-- up\nCREATE TABLE b (i);\n", "m/002_b.sql", "has no down"),
        ("CREATE TABLE b (i);\n", "m/002_b.sql:1", "has neither -- up nor -- down"),
    ],
)
async def test_the_migration_at_fault_is_named_with_its_line(
    tmp_path: Path, second: str, place: str, message: str
) -> None:
    tree = fill(tmp_path / "t", {"m/001_users.sql": USERS, "m/002_b.sql": second})
    found = await measure(tree, "kind: migration_up_down, directory: m")
    assert found.result == "fail"
    assert (found.found[0].place, found.found[0].message[: len(message)]) == (place, message)


async def test_a_migration_reaches_no_other_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside.sqlite"
    sql = f"-- up\nATTACH DATABASE '{outside}' AS o; CREATE TABLE o.t (i);\n-- down\n"
    found = await measure(fill(tmp_path / "t", {"m/001_a.sql": sql}), "kind: migration_up_down, directory: m")
    assert (found.result, outside.exists()) == ("fail", False)
    assert "not authorized" in found.found[0].message


# -- HTML

PAGE = """<!doctype html>
<html lang="en"><head><title>Routes</title></head><body>
<h1>Routes</h1><h2>Today</h2><img src="a.png" alt=""><a href="/"><img src="home.png" alt="Home"></a>
<label>Name <input name="n"></label><label for="p">Phone</label><input id="p"><input type="hidden">
<button aria-label="Close">x</button><svg></svg></body></html>
"""
BARRED = """<html><body>
<h1>A</h1><h3>B</h3>
<img src="a.png">
<input name="n">
<a href="/"> </a>
<p id="x"></p><p id="x"></p>
<div tabindex="3"></div><iframe src="b"></iframe>
</body></html>
"""


async def test_a_page_without_barriers_passes(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"a.html": PAGE}), "kind: html_a11y")
    assert (found.result, [one.text for one in found.found]) == ("pass", [])


async def test_each_barrier_is_found_by_its_line(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"a.html": BARRED}), "kind: html_a11y")
    assert sorted((one.line, one.rule) for one in found.found) == [
        (1, "lang"), (1, "title"), (2, "headings"), (3, "alt"), (4, "label"), (5, "name"), (6, "id"), (7, "tabindex"),
        (7, "title"),
    ]  # fmt: skip


# -- bundle


async def test_the_size_of_a_bundle_is_compared_to_the_byte(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"dist/a.js": "x" * 600, "dist/b/c.css": "y" * 424, "src/big.js": "z" * 9999})
    found = await measure(place, 'kind: bundle_size, paths: [dist], threshold: "<= 1KiB"')
    assert [found.result, found.value, found.shown_value] == ["pass", 1024, "1 KiB (<= 1KiB)"]
    assert (await measure(place, 'kind: bundle_size, paths: [dist], threshold: "<= 1023"')).result == "fail"


async def test_a_bundle_that_was_not_built_is_not_measured_and_can_be_built(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"a.js": "x"})
    text = 'kind: bundle_size, paths: [dist], threshold: "<= 1KB"'
    assert (await measure(place, text)).result == "not_measured"
    built = await measure(place, f'{text}, command: "mkdir dist && cp a.js dist"')
    assert (built.result, built.value) == ("pass", Fraction(1))
    assert (await measure(place, f'{text}, command: "exit 3"')).result == "error"


# -- what they stand on


@pytest.mark.parametrize(
    ("glob", "path", "does"),
    [
        ("src", "src/a/b.py", True),
        ("*.py", "a.py", True),
        ("*.py", "d/a.py", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "d/e/a.py", True),
        ("src/**", "src/a/b", True),
        ("a?.js", "ab.js", True),
        ("a.b", "aXb", False),
    ],
)
def test_a_pattern_matches_as_people_expect(glob: str, path: str, does: bool) -> None:
    found = patterns((glob,))
    assert found is not None
    assert (found.fullmatch(path) is not None) is does


def test_the_names_of_tests_are_read_off_their_files() -> None:
    python = (
        "import unittest\ndef test_a(): ...\ndef make(): ...\nclass TestB:\n    async def test_c(self): ...\n"
        "class Login(unittest.TestCase):\n    def test_d(self): ...\nclass Other:\n    def test_no(self): ...\n"
    )
    assert names_of("t.py", python) == ["t.py::test_a", "t.py::TestB::test_c", "t.py::Login::test_d"]
    assert names_of("a.test.js", "it('adds', () => {})\ntest.skip(\"x\", f)\n") == ["a.test.js::adds", "a.test.js::x"]
    assert names_of("a_test.go", "func TestSum(t *testing.T) {\n") == ["a_test.go::TestSum"]
