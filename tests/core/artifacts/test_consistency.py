"""Each comparison finds what does not agree, names both sides, and is silent where artifacts agree."""

from __future__ import annotations

import json

import pytest
from tests.support.artifacts import library, needs_validators, told

from swarm_core.artifacts.consistency import COMPARISONS, SIDES, contradictions, sides
from swarm_core.artifacts.contracts import snake, table_names
from swarm_core.artifacts.library import Measured

API = """\
openapi: 3.0.0
info: {title: T, version: "1"}
servers: [{url: http://localhost:3000/api}]
paths:
  /customers:
    post:
      requestBody:
        content:
          application/json:
            schema: {type: object, properties: {fullName: {type: string}, fax: {type: string}}}
      responses: {"200": {description: ok}}
  /customers/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok}}
"""


@pytest.fixture(autouse=True)
def _extra() -> None:
    needs_validators()


def found(**texts: str) -> list[str]:
    return told(contradictions(library(texts)))


def test_what_a_request_sends_to_a_collection_is_compared_with_its_table() -> None:
    schema = "CREATE TABLE customers (id int, full_name text);"
    assert found(api_contracts=API, database_schema=schema) == [
        "artifacts/api-contracts.yml:10:75: customers has the field 'fax', the table 'customers' has no such column "
        "(see artifacts/database-schema.sql:1:14)"
    ]
    assert found(api_contracts=API, database_schema=schema.replace("full_name", "fax_encrypted int, full_name")) == []


def test_components_call_what_the_contract_has_however_it_is_spelled() -> None:
    calls = ["/customers?status=a", "GET /api/customers/:id", "POST /customers/", "/customers/{customer_id}"]
    manifest = {"components": [{"name": "A", "type": "page", "path": "a", "api_endpoints": calls}]}
    assert found(ui_components=json.dumps(manifest), api_contracts=API) == []
    calls += ["DELETE /customers", "/bins"]
    assert found(ui_components=json.dumps(manifest), api_contracts=API) == [
        "artifacts/ui-components.json:1:175: A calls 'DELETE /customers', which has no DELETE in the contract "
        "(see artifacts/api-contracts.yml:4:1)",
        "artifacts/ui-components.json:1:196: A calls '/bins', which is not in the contract "
        "(see artifacts/api-contracts.yml:4:1)",
    ]


def test_one_integration_too_many_is_a_note_and_one_too_few_is_not() -> None:
    design = (
        "services: {a: {type: x}}\ndata_stores: {}\nintegrations: {pay: [stripe, pay-pal], sms: {provider: twilio}}"
    )
    manifest = "integrations:\n  Stripe: {status: configured}\n  paypal: {status: configured}\n  fax: {status: x}\n"
    notes = contradictions(library({"system_design": design, "integration_manifest": manifest}))
    assert [(fault.is_note, fault.message) for fault in notes] == [
        (True, "'fax' is integrated, but not in the design"),
        (False, "the design integrates 'twilio', the manifest does not"),
    ]


@pytest.mark.parametrize(
    ("failed", "claim", "expected"), [(0, "true", 0), (1, "true", 1), (1, "false", 0), (0, "false", 0)]
)
def test_only_a_claim_that_is_better_than_the_fact_is_contradicted(failed: int, claim: str, expected: int) -> None:
    manifest = f"deployment: {{status: ready, version: 1.0.0, pre_checks: {{tests_passed: {claim}}}}}\n"
    summary = {"total": 5, "passed": 5 - failed, "failed": failed, "skipped": 0, "coverage": 90}
    results = json.dumps({"test_execution": {"summary": summary, "failures": [{"test": "t", "error": "e"}] * failed}})
    assert len(found(deployment_manifest=manifest, test_results=results)) == expected


def test_no_test_at_all_is_not_passed() -> None:
    manifest = "deployment: {status: ready, version: 1.0.0, pre_checks: {tests_passed: true}}\n"
    summary = {"total": 0, "passed": 0, "failed": 0, "coverage": 90}
    results = json.dumps({"test_execution": {"summary": summary}})
    (only,) = found(deployment_manifest=manifest, test_results=results)
    assert "tests_passed says true, but there were no tests" in only


@pytest.mark.parametrize(("said", "measured", "expected"), [(86.0, 79.9, 1), (79.9, 86.0, 0), (79.9, 79.9, 0)])
def test_test_results_that_say_more_than_was_measured_are_contradicted(
    said: float, measured: float, expected: int
) -> None:
    results = json.dumps({"test_execution": {"summary": {"total": 1, "passed": 1, "failed": 0, "coverage": said}}})
    facts = {"coverage": Measured(measured, "checks/coverage-12.txt"), "tests_passed": Measured(True, "checks/t.txt")}
    faults = told(contradictions(library({"test_results": results}, facts)))
    assert len(faults) == expected
    assert all("coverage is 86, but 79.9 was measured (see checks/coverage-12.txt:1:1)" in one for one in faults)


def test_counts_of_a_test_run_add_up() -> None:
    results = json.dumps({"test_execution": {"summary": {"total": 9, "passed": 5, "failed": 1, "coverage": 90}}})
    (only,) = found(test_results=results)
    assert "total is 9, but passed, failed and skipped are 6" in only


def test_documentation_is_made_from_what_its_sources_hold_now() -> None:
    schema = "CREATE TABLE a (id int);"
    now = library({"database_schema": schema}).documents["database_schema"].sha256
    sources = [{"artifact": "database-schema.sql", "sha256": now}, {"artifact": "database_schema"}]
    manifest = {"documents": [{"path": "docs/db.md", "sources": sources}]}
    assert found(documentation_manifest=json.dumps(manifest), database_schema=schema) == []
    sources += [{"artifact": "database-schema.sql", "sha256": "0" * 64}, {"artifact": "api-contracts.yml"}]
    said = found(documentation_manifest=json.dumps(manifest), database_schema=schema)
    assert [one.split(": ", 1)[1].split(" (see")[0] for one in said] == [
        f"was made from database-schema.sql 000000000000, which is {now[:12]} now",
        "the source 'api-contracts.yml' is not there",
    ]


def test_names_of_schemas_lead_to_tables() -> None:
    assert snake("ServiceEvent") == "service_event"
    assert "service_events" in table_names("ServiceEvent")
    assert "companies" in table_names("Company")


def test_every_comparison_says_which_sides_it_looks_at() -> None:
    assert set(SIDES) == set(COMPARISONS)
    assert sides(frozenset({"database_schema"})) == {"database_schema", "api_contracts"}
