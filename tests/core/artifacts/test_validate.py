"""Each rule of a type refuses what breaks it, at the place where it is broken, and no file makes it fall over."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from tests.support.artifacts import judged, kind, needs_validators, told

from swarm_core.artifacts import yaml_format
from swarm_core.artifacts.fault import MAX_FAULTS, Fault, Faults, Place
from swarm_core.artifacts.json_format import locate
from swarm_core.artifacts.validate import dependency_faults, too_large, validate

API = """\
openapi: 3.0.0
info: {title: T, version: "1"}
paths:
  /a:
    get:
      responses:
        "200": {description: ok}
"""


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        ("a: [1\nb: 2\n", {}, "2:2: is not valid YAML"),
        ("a: &x 1\nb: *x\n", {}, "2:4: aliases (*name) are not allowed"),
        ("a: 1\n<<: {b: 1}\n", {}, "2:1: merge keys"),
        ("a: 1\nb: 2\na: 3\n", {}, "3:1: 'a' is given twice (line 1)"),
        ("a: 1\n---\nb: 2\n", {}, "2:1: a second document begins"),
        ("a: !!python/object/apply:os.system [x]\n", {}, "1:4: the tag"),
        ("? [a]\n: 1\n", {}, "1:3: a key must be plain text"),
        ("", {}, "1:1: is empty"),
        ("just text\n", {}, "1:1: is a single value"),
        ("[" * 200_000, {}, "1:101: is nested deeper than 100 levels"),
        ("- " * 5_000, {}, "is nested deeper than 100 levels"),
        (b"a: \xff\xfe\n", {}, "1:4: is not UTF-8 text (byte 3)"),
        (b"a: 1\nb: \0\n", {}, "2:4: is binary"),
        ("a: 1\n", {"required_fields": ("b",)}, "1:1: the field 'b' is missing"),
        ("a: {b: 1}\n", {"required_fields": ("c.b",)}, "1:1: the field 'c.b' is missing"),
        ("a:\n  version: 1.1\n", {"version": "1.10"}, "2:3: version is '1.1', not '1.10'"),
        ("a: 1\n", {"version": "1"}, "1:1: says no version"),
        ("a: 1\nb: 2\n", {"max_bytes": 5}, "1:1: is 10 bytes, more than the 5"),
        ("c:\n  coverage: 79.9\n", {"minimum_coverage": 80.0}, "2:3: coverage 79.9 is below 80"),
        ("coverage: 95\nc:\n  coverage: 12%\n", {"minimum_coverage": 80.0}, "3:3: coverage 12 is below 80"),
        ("coverage: true\n", {"minimum_coverage": 80.0}, "1:1: says no coverage as a number"),
        ("coverage: .nan\n", {"minimum_coverage": 80.0}, "1:1: says no coverage as a number"),
    ],
)
def test_yaml_is_refused_at_its_place(content: str | bytes, more: dict[str, Any], expected: str) -> None:
    judgement = judged(content, **more)
    assert judgement.status == "invalid"
    assert any(expected in one for one in told(judgement.faults)), told(judgement.faults)
    assert all(one.startswith("artifacts/x.yml:") for one in told(judgement.faults))


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("a: {b: {c: 1}}\n", {"required_fields": ("c", "a.b.c")}),
        ("version: 1.10\n", {"version": "1.10"}),
        ("x: [{coverage: 80.0}]\n", {"minimum_coverage": 80.0}),
        ("coverage: 87.3%\n", {"minimum_coverage": 80.0}),
        ("a: *text in a value\n".replace("*", "\\*"), {}),
    ],
)
def test_yaml_that_keeps_the_rules_is_valid(content: str, more: dict[str, Any]) -> None:
    assert told(judged(content, **more).faults) == []


def test_keys_are_text_dates_stay_and_numbers_keep_how_they_were_written() -> None:
    faults = Faults("x")
    parsed = yaml_format.parse("200: ok\nat: 2024-01-15T10:30:00Z\nv: 1.10\non: off\nhex: 0x1F\nmode: 017\n", faults)
    assert parsed is not None
    assert parsed.value == {
        "200": "ok",
        "at": "2024-01-15T10:30:00Z",
        "v": 1.1,
        "on": False,
        "hex": 31,
        "mode": 15,
    }
    assert parsed.text(("v",)) == "1.10"
    assert parsed.position(("v",)) == (3, 1)
    assert parsed.position(("nowhere", "at", "all")) == (1, 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1,\n "b" 2}', "2:6: is not JSON: Expecting ':' delimiter"),
        ('{"a": 1,\n "a": 2}', "2:2: 'a' is given twice"),
        ('{"a": NaN}', "1:7: NaN is no JSON"),
        (" ", "1:1: is empty"),
        ("[" * 200_000, "1:501: is nested deeper"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON that can be read"),
    ],
)
def test_json_is_refused_at_its_place(content: str, expected: str) -> None:
    assert expected in told(judged(content, "json").faults)[0]


def test_a_place_in_json_is_found_past_strings_that_look_like_it() -> None:
    text = '{"x": "\\"b\\": [", "a": [1, {"b": 2}, "]"],\n "b": {"c": null}}'
    assert text[locate(text, ("a", 1, "b")) :].startswith('"b": 2')
    assert text[locate(text, ("b", "c")) :].startswith('"c": null')
    with pytest.raises(LookupError):
        locate(text, ("a", 9))


def test_a_shipped_schema_names_the_field_and_its_place() -> None:
    needs_validators()
    text = '{"components": [\n  {"name": "A", "type": "page",\n   "path": 7}]}'
    found = told(judged(text, "json", schema="ui_components").faults)
    assert found == ["artifacts/x.json:3:4: components.0.path: 7 is not of type 'string'"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("CREATE TABLE a (\n  id int,\n  name text not,\n);", "3:13: is not SQL that can be read"),
        ("CREATE TABLE a (id int);\nSELECT 'open", "2:8: is not SQL"),
        ("-- nothing\n", "holds no statement"),
        ("SELECT " + "(" * 5_000, "is nested too deep"),
    ],
)
def test_sql_is_refused_at_its_place(content: str, expected: str) -> None:
    needs_validators()
    judgement = judged(content, "sql")
    assert judgement.status == "invalid"
    assert expected in told(judgement.faults)[0]


def test_tables_are_what_all_statements_leave_behind() -> None:
    needs_validators()
    text = (
        "CREATE TABLE A (id int);\nCREATE TABLE gone (id int);\nDROP TABLE gone;\n"
        "ALTER TABLE a ADD COLUMN more text;\nALTER TABLE a RENAME COLUMN id TO key;\n"
    )
    assert judged(text, "sql", required_tables=("a",)).is_valid
    assert not judged(text, "sql", required_tables=("gone",)).is_valid


def test_sqlite_is_sql_as_well() -> None:
    needs_validators()
    text = (
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT CHECK (t IN ('x')));\nPRAGMA foreign_keys = ON;"
    )
    assert told(judged(text, "sql", required_tables=("a",)).faults) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (API.replace("3.0.0", "2.0"), "1:1: openapi must be text"),
        (API.replace("3.0.0", "9.0.0"), "1:1: openapi '9.0.0' is not a version that is known"),
        (API.replace("3.0.0", "3.1.0"), "1:1: openapi is '3.1.0', not '3.0.0'"),
        (API.replace("{title: T, ", "{"), "2:1: info: 'title' is a required property"),
        (API.replace("{description: ok}", "{}"), "7:9: paths./a.get.responses.200: "),
        (
            API.replace("{description: ok}", "{$ref: 'http://127.0.0.1/x'}"),
            "7:17: $ref 'http://127.0.0.1/x' leaves the",
        ),
        (API.replace("{description: ok}", "{$ref: 'file:///etc/passwd'}"), "leaves the document"),
        (API.replace("{description: ok}", "{$ref: '#/nowhere'}"), "7:17: $ref '#/nowhere' leads to nothing"),
        (API + "components: {schemas: {A: {$ref: '#/components/schemas/A'}}}\n", "leads back to itself"),
        ("a: 1\n", "has no 'openapi' field"),
    ],
)
def test_a_contract_is_refused_at_its_place(content: str, expected: str) -> None:
    needs_validators()
    judgement = judged(content, "openapi", version="3.0.0")
    assert judgement.status == "invalid"
    assert any(expected in one for one in told(judgement.faults)), told(judgement.faults)


def test_a_contract_may_be_json() -> None:
    needs_validators()
    text = '{"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}}'
    assert judged(text, "openapi").is_valid


def test_markdown_needs_its_sections_and_a_heading_in_a_code_block_is_none() -> None:
    text = "# R\n\n## 1. Found\n\n```\n## Done\n```\n"
    assert judged(text, "markdown", required_sections=("found",)).is_valid
    found = told(judged(text, "markdown", required_sections=("Done",)).faults)
    assert found == ["artifacts/x.md:8:1: the section 'Done' is missing"]


def test_html_that_was_cut_off_or_does_not_fit_is_refused() -> None:
    good = "<!doctype html><html><head><title>t</title></head><body><p>a<br><ul><li>x</ul></body></html>"
    assert told(judged(good, "html").faults) == []
    assert "1:16: <b> is still open at </div>" in told(judged("<h1>a</h1><div><b>x</div>", "html").faults)[0]
    assert "<table> is never closed" in told(judged("<h1>a</h1>\n<table><tr><td>", "html").faults)[0]
    assert "</div> closes nothing" in told(judged("<h1>a</h1></div>", "html").faults)[0]
    assert "holds no element" in told(judged("plain words", "html").faults)[0]


def test_what_an_artifact_depends_on_must_be_there_and_fresh() -> None:
    one = kind(depends_on=("a", "b", "c"))
    paths = {"a": "artifacts/a", "b": "artifacts/b", "c": "artifacts/c"}
    found = told(dependency_faults(one, paths, {"artifacts/a": "valid", "artifacts/b": "stale"}))
    assert found == [
        "artifacts/x.yml:1:1: depends on artifacts/b, which is stale (see artifacts/b:1:1)",
        "artifacts/x.yml:1:1: depends on artifacts/c, which does not exist (see artifacts/c:1:1)",
    ]


def test_fifty_megabytes_are_refused_without_being_read() -> None:
    judgement = too_large(kind(), 50_000_000)
    assert judgement is not None
    assert told(judgement.faults) == ["artifacts/x.yml:1:1: is 50,000,000 bytes, more than the 1,048,576 it may have"]


def test_a_person_is_told_of_twenty_faults_and_how_many_more_there_are() -> None:
    text = "".join("a: 1\n" for _ in range(100))
    faults = judged(text).faults
    assert len(faults) == MAX_FAULTS + 1
    assert "and 79 more" in str(faults[-1])


def test_foreign_text_in_a_fault_cannot_paint_and_survives_a_round_trip() -> None:
    fault = Fault("c", "\x1b]0;x\x07" + "y" * 900, Place("p\x1b", 3, 4), other=Place("q"))
    assert "\x1b" not in str(fault)
    assert len(fault.message) <= 300
    assert Fault.of(fault.data()) == fault


@pytest.mark.parametrize(
    ("module", "one", "content"),
    [
        ("sqlglot", kind("sql"), b"CREATE TABLE a (id int);"),
        ("jsonschema", kind("json", schema="ui_components"), b'{"components": []}'),
        ("openapi_spec_validator", kind("openapi"), API.encode()),
    ],
)
def test_without_its_library_a_format_is_not_measured_and_never_valid(
    monkeypatch: pytest.MonkeyPatch, module: str, one: Any, content: bytes
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    from swarm_core.artifacts import validate as room

    room._schema.cache_clear()
    judgement = validate(one, content)
    assert judgement.status == "not_measured"
    assert not judgement.is_valid
    assert f"{module} is not installed" in judgement.reason
    room._schema.cache_clear()


def test_heavy_libraries_are_imported_only_when_a_file_needs_them() -> None:
    program = (
        "import sys, swarm_core.artifacts.validate, swarm_core.engine.artifacts, swarm_core.cli.artifact\n"
        "print([m for m in ('sqlglot', 'jsonschema', 'openapi_spec_validator', 'pydantic') if m in sys.modules])"
    )
    path = ":".join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
