"""The names of tests as they stand in the files, without running anything: Python by its syntax, others by their words.

A file that cannot be parsed is named: its tests cannot be told, so nothing can be said about them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

TEST_FILES = ("**/test_*.py", "**/*_test.py", "**/tests.py", "**/*.test.js", "**/*.test.ts", "**/*.test.jsx",
              "**/*.test.tsx", "**/*.spec.js", "**/*.spec.ts", "**/*_test.go")  # fmt: skip
_WORDS = re.compile(r"""^\s*(?:it|test)(?:\.\w+)?\s*\(\s*(['"`])(.{1,200}?)\1""", re.M)
_GO = re.compile(r"^func (Test\w+)\(", re.M)


def test_names(path: str, text: str) -> list[str]:
    """``path::Class::test`` for every test of a file. Raises SyntaxError, ValueError or RecursionError."""
    if path.endswith(".py"):
        return [f"{path}::{name}" for name in _python(ast.parse(text).body, ())]
    found = _GO.findall(text) if path.endswith(".go") else [name for _, name in _WORDS.findall(text)]
    return [f"{path}::{name}" for name in found]


test_names.__test__ = False  # type: ignore[attr-defined]  # its name begins as a test's does


def _python(body: Iterable[ast.stmt], inside: tuple[str, ...]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test"):
                yield "::".join((*inside, name))
            case ast.ClassDef(name=name) if name.startswith("Test") or _is_test_case(node):
                yield from _python(node.body, (*inside, name))
            case ast.If() | ast.Try() | ast.With():
                yield from _python(node.body, inside)


def _is_test_case(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("TestCase") for base in node.bases)
