"""The figure that a command of the operator's prints, where its check is named after a metric: what rules look at.

``coverage`` reads the last percentage (``TOTAL  100  21  79%``), ``response-time`` the last duration, ``memory``
the last percentage or size. A command that prints none has measured nothing but its exit status.
"""

from __future__ import annotations

import re
from typing import Any

from swarm_core.checks.run import CheckRun
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.spec import CheckSpec

MAX_FILES = 50
READ_CHARS = 1 << 16
_PERCENT = r"(?<![\d.])(\d{1,3}(?:\.\d{1,6})?)\s?(%)"
_DURATION = r"(?<![\d.])(\d{1,9}(?:\.\d{1,6})?)\s?(ms|s)\b"
_SIZE = r"(?<![\d.])(\d{1,12}(?:\.\d{1,6})?)\s?(%|bytes|kb|mb|gb|mib)(?![a-z])"
_METRICS = {
    "coverage": re.compile(_PERCENT),
    "response_time": re.compile(_DURATION),
    "memory": re.compile(_SIZE, re.I),
    "memory_usage": re.compile(_SIZE, re.I),
    "error_rate": re.compile(_PERCENT),
}
_UNCOVERED = re.compile(r"^(\S{1,300}\.\w{1,8})\s+\d+\s+\d+\s+(?:\d+\s+\d+\s+)?(\d{1,3})%", re.M)


def measured(spec: CheckSpec, result: CheckRun) -> dict[str, Any]:
    """``value``, ``unit`` and, of a coverage report, the ``files`` not covered; empty without a figure."""
    name = spec.name.replace("-", "_")
    pattern = _METRICS.get(name)
    if pattern is None:
        return {}
    text = result.output[-READ_CHARS:]
    found = pattern.findall(text)
    if not found:
        return {}
    number, unit = found[-1]
    data: dict[str, Any] = {"value": float(number), "unit": unit.lower()}
    if name == "coverage":
        rows = [(int(share), clean_line(path, 300)) for path, share in _UNCOVERED.findall(text)]
        data["files"] = [path for share, path in sorted(rows) if share < 100 and path != "TOTAL"][:MAX_FILES]
    return data
