"""Does every source file parse: Python by its own compiler, JavaScript by ``node --check`` where there is one."""

from __future__ import annotations

import ast
import shutil
import subprocess
from fractions import Fraction

from .files import TreeFile
from .measured import Found, Measured, not_measured, verdict
from .worker import Request

PYTHON = ("**/*.py",)
SCRIPTS = ("**/*.js", "**/*.mjs", "**/*.cjs")
NODE_TIMEOUT_S = 20


def scan(request: Request) -> Measured:
    sources = request.files((*PYTHON, *SCRIPTS))
    python = [file for file in sources if file.path.endswith(".py")]
    scripts = [file for file in sources if file.path.endswith((".js", ".mjs", ".cjs"))]
    if not python and not scripts:
        return not_measured("there is no Python or JavaScript file", "set paths, or remove the check")
    found = [one for file in python if (one := broken_python(file)) is not None]
    node = shutil.which("node")
    if scripts and node is None and not found:
        hint = "install node, or set paths to what can be compiled here"
        return not_measured(f"{len(scripts)} JavaScript files, and node is not installed", hint)
    found += [one for file in scripts if node is not None and (one := _broken_script(node, file)) is not None]
    return verdict(found, f"{len(python) + len(scripts)} files", Fraction(len(found)))


def broken_python(file: TreeFile) -> Found | None:
    """What is wrong with a file's syntax."""
    if file.data is None:
        return Found("cannot be read or is too large", file.path, 0, "unreadable", "HIGH")
    try:
        compile(ast.parse(file.data, file.path), file.path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return Found(f"{type(error).__name__}: {error.msg}", file.path, error.lineno or 0, "syntax", "HIGH")
    except ValueError as error:
        return Found(f"cannot be compiled: {error}", file.path, 0, "syntax", "HIGH")
    except RecursionError:
        return Found("is nested too deep to be compiled", file.path, 0, "syntax", "HIGH")
    return None


def _broken_script(node: str, file: TreeFile) -> Found | None:
    try:
        done = subprocess.run(
            [node, "--check", file.root / file.path],
            capture_output=True, timeout=NODE_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Found(f"node --check took longer than {NODE_TIMEOUT_S} s", file.path, 0, "syntax", "HIGH")
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    number = lines[0].rpartition(":")[2] if lines else ""
    said = next((line for line in lines if "Error" in line), lines[0] if lines else "does not parse")
    return Found(said[:300], file.path, int(number) if number.isdecimal() else 0, "syntax", "HIGH")
