"""Every sample of seed 000 loads, or is rejected for the reason that is known, with its place."""

from __future__ import annotations

import pytest
from tests.support.artifacts import PLATFORM, library, needs_validators, samples, shipped, told

from swarm_core.artifacts.consistency import contradictions
from swarm_core.artifacts.library import Measured
from swarm_core.artifacts.validate import validate
from swarm_core.definitions.artifacts import load_registry


@pytest.fixture(autouse=True)
def _extra() -> None:
    needs_validators()


def test_the_seeds_registry_and_rules_load_unmodified() -> None:
    registry = load_registry(PLATFORM)
    assert not registry.is_shipped
    assert len(registry.types) == 7
    assert registry.types["error_reports"].consumers == ("ALL",)
    assert registry.types["database_schema"].depends_on == ("system_design", "security_requirements")
    assert registry.types["system_design"].max_bytes == 100_000
    assert registry.types["test_results"].minimum_coverage == 80
    assert registry.types["system_design"].place == ".agent-artifacts/registry.yml:6"


@pytest.mark.parametrize("key", sorted(samples()))
def test_every_sample_is_valid_by_the_shipped_registry(key: str) -> None:
    kind = shipped().types[key]
    judgement = validate(kind, samples()[key].encode())
    assert judgement.is_valid, told(judgement.faults)


def test_the_schema_is_rejected_for_the_three_tables_it_lacks() -> None:
    kind = load_registry(PLATFORM).types["database_schema"]
    text = samples()["database_schema"]
    judgement = validate(kind, text.encode())
    last = text.rstrip().count("\n") + 1
    assert told(judgement.faults) == [
        f"artifacts/database-schema.sql:{last}:1: the table {name!r} is missing; there are: customers"
        for name in ("bins", "routes", "service_events")
    ]


def test_numbered_response_codes_are_read_as_text_and_noted_with_their_place() -> None:
    text = samples()["api_contracts"]
    judgement = validate(shipped().types["api_contracts"], text.encode())
    line = next(number for number, one in enumerate(text.splitlines(), 1) if one.strip() == "200:")
    assert judgement.is_valid
    assert told(judgement.faults) == [
        f"artifacts/api-contracts.yml:{line}:9: note: the response code 200 is a number and is read as text"
    ]


def test_without_normalising_the_validator_cannot_read_the_contract_at_all() -> None:
    """Why keys are text here: with a plain reader the library ends with a TypeError."""
    import openapi_spec_validator
    import yaml

    plain = yaml.safe_load(samples()["api_contracts"])
    with pytest.raises(TypeError):
        list(openapi_spec_validator.OpenAPIV30SpecValidator(plain).iter_errors())


def test_a_manifest_that_says_passed_with_five_failures_is_contradicted() -> None:
    found = told(contradictions(library(samples())))
    assert (
        "artifacts/deployment-manifest.yml:8:5: the pre-check tests_passed says true, but 5 tests failed "
        "(see artifacts/test-results.json:7:7)"
    ) in found


def test_the_manifest_without_mapbox_is_incomplete() -> None:
    found = told(contradictions(library(samples())))
    assert any(
        "system-design.yml" in one
        and "integrates 'mapbox', the manifest does not (see artifacts/integration-manif" in one
        for one in found
    )


def test_a_pending_critical_issue_contradicts_no_critical_errors() -> None:
    found = told(contradictions(library(samples())))
    assert any("no_critical_errors says true, but '2. Database Schema Mismatch' is 'Pending" in one for one in found)


def test_the_phone_number_is_found_and_a_migration_settles_it() -> None:
    texts = samples()
    assert not [one for one in contradictions(library(texts)) if one.code == "api_db_consistency"]
    api = texts["api_contracts"].replace(
        "        business_name:\n", "        phone_number:\n          type: string\n        business_name:\n"
    )
    line = 1 + api[: api.index("phone_number")].count("\n")
    (fault,) = [one for one in contradictions(library(samples(api_contracts=api))) if one.code == "api_db_consistency"]
    assert str(fault.at) == f"artifacts/api-contracts.yml:{line}:9"
    assert fault.other is not None
    assert fault.other.path == "artifacts/database-schema.sql"
    assert "Customer has the field 'phone_number', the table 'customers' has no such column" in fault.message
    migrated = texts["database_schema"] + "\nALTER TABLE customers ADD COLUMN phone_number VARCHAR(32);\n"
    settled = library(samples(api_contracts=api, database_schema=migrated))
    assert not [one for one in contradictions(settled) if one.code == "api_db_consistency"]


def test_what_was_measured_goes_before_what_artifacts_say() -> None:
    measured = {
        "coverage": Measured(79.9, "checks/coverage-12.txt"),
        "security_scan": Measured("failed", "checks/s.txt"),
    }
    found = told(contradictions(library({"deployment_manifest": samples()["deployment_manifest"]}, measured)))
    assert found == [
        "artifacts/deployment-manifest.yml:9:5: the pre-check coverage says 87.3%, but 79.9 was measured "
        "(see checks/coverage-12.txt:1:1)",
        "artifacts/deployment-manifest.yml:10:5: the pre-check security_scan says passed, but failed was measured "
        "(see checks/s.txt:1:1)",
    ]
