"""Do artifacts agree with each other. Pure functions over parsed artifacts; each fault names both sides.

``contradictions`` runs every comparison whose two sides are there. What the engine measured goes before what an
artifact says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .contracts import api_and_database, interface_and_api
from .fault import Fault
from .library import Library
from .manifests import (
    counts_of_tests,
    deployment_and_facts,
    design_and_integrations,
    documents_and_sources,
    results_and_facts,
)


def contradictions(library: Library) -> list[Fault]:
    """Everything in which the artifacts do not agree, by place."""
    found = [fault for compare in COMPARISONS for fault in compare(library)]
    return sorted(found, key=lambda fault: (fault.at.path, fault.at.line, fault.at.column))


COMPARISONS: tuple[Callable[[Library], Iterator[Fault]], ...] = (
    api_and_database,
    interface_and_api,
    design_and_integrations,
    deployment_and_facts,
    results_and_facts,
    documents_and_sources,
    counts_of_tests,
)
# Which types each comparison looks at: it need not run when none of them changed.
SIDES: Mapping[Callable[[Library], Iterator[Fault]], frozenset[str]] = {
    api_and_database: frozenset({"api_contracts", "database_schema"}),
    interface_and_api: frozenset({"ui_components", "api_contracts"}),
    design_and_integrations: frozenset({"system_design", "integration_manifest"}),
    deployment_and_facts: frozenset({"deployment_manifest", "test_results", "error_reports"}),
    results_and_facts: frozenset({"test_results"}),
    documents_and_sources: frozenset({"documentation_manifest"}),
    counts_of_tests: frozenset({"test_results"}),
}
# The types whose documents name others, which are then looked up in the whole registry.
NAMING = SIDES[documents_and_sources]


def sides(keys: frozenset[str]) -> frozenset[str]:
    """Everything that must be read to compare what changed with its other sides."""
    found = frozenset[str]().union(*(side for side in SIDES.values() if side & keys))
    return found | keys
