"""Cyclomatic complexity of Python functions: one, and one more for each place where the way forks (McCabe 1976).

``if``, loops, ``except``, ``assert``, conditional expressions, comprehension conditions, each operand of
``and``/``or`` after the first, and each ``case`` but a bare ``_``. A function inside another counts for itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fractions import Fraction

from swarm_core.vocabulary.threshold import parse_threshold

from .measured import Found, Measured, not_measured
from .worker import Request

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
Function = ast.FunctionDef | ast.AsyncFunctionDef


def scan(request: Request) -> Measured:
    limit = parse_threshold(request.threshold or "<= 15", "")
    highest, count, where = 0, 0, ""
    found: list[tuple[int, Found]] = []
    for file in request.files(("**/*.py",)):
        try:
            tree = ast.parse(file.data or b"", file.path)
        except (SyntaxError, ValueError, RecursionError):
            return not_measured(f"{file.path} cannot be parsed", "mend it: the check compile says what is wrong")
        for name, node in functions(tree):
            count, value = count + 1, complexity(node)
            if value > highest:
                highest, where = value, f"{file.path}:{node.lineno} {name}"
            if not limit.is_met(Fraction(value)):
                found.append((value, Found(f"{name} has {value}", file.path, node.lineno, "complexity")))
    if not count:
        return not_measured("there is no Python function", "set paths, or remove the check")
    found.sort(key=lambda one: (-one[0], one[1].path, one[1].line))
    return Measured("", Fraction(highest), "", tuple(one for _, one in found), f"highest at {where}, {count} functions")


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its name, ``Class.method`` and ``outer.inner``."""
    for node in ast.iter_child_nodes(tree):
        name = f"{inside}{node.name}" if isinstance(node, FUNCTIONS | ast.ClassDef) else ""
        if isinstance(node, FUNCTIONS):
            yield name, node
        yield from functions(node, f"{name}." if name else inside)


def complexity(function: Function) -> int:
    return 1 + sum(_forks(node) for node in _own(function))


def _own(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions and classes inside it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, FUNCTIONS | ast.ClassDef):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def _forks(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler() | ast.Assert() | ast.IfExp():
            return 1
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.comprehension(ifs=ifs):
            return 1 + len(ifs)
        case ast.match_case(pattern=pattern, guard=guard):
            is_default = isinstance(pattern, ast.MatchAs) and pattern.pattern is None and guard is None
            return int(not is_default)
    return 0
