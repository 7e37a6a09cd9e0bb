"""A Jupyter notebook as text: its cells in order, each with its source and what it printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MAX_OUTPUT_CHARS = 2_000


def as_text(raw: bytes) -> str | None:
    """The notebook's cells as lines; None if the bytes are no notebook (format 4, nbformat.readthedocs.io)."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        return None
    return "\n".join(line for number, cell in enumerate(cells) for line in _cell(number, cell))


def _cell(number: int, cell: Any) -> Iterator[str]:
    if not isinstance(cell, dict):
        return
    yield f"# cell {number} ({cell.get('cell_type', 'raw')})"
    yield from _text(cell.get("source")).splitlines()
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            yield from (f"# output: {line}" for line in _output(output)[:MAX_OUTPUT_CHARS].splitlines())


def _output(output: dict[str, Any]) -> str:
    if "text" in output:
        return _text(output["text"])
    if "ename" in output:
        return f"{output['ename']}: {output.get('evalue', '')}"
    data = output.get("data")
    if isinstance(data, dict):
        plain = _text(data.get("text/plain"))
        others = ", ".join(sorted(str(kind) for kind in data if kind != "text/plain"))
        return f"{plain}\n[{others} not shown]" if others else plain
    return ""


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
