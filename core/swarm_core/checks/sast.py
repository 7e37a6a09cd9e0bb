"""Calls in Python that are known to open a door, found by syntax: no data flow, so that a finding is a place to look.

Nothing in a file can switch it off: who wrote the line would be the one to decide. ``exclude`` and ``level`` are yours.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fractions import Fraction

from .measured import Found, Measured, not_measured, verdict
from .worker import Request

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
# The full name of what is called: rule, severity, message.
_CALLS: dict[str, tuple[str, str, str]] = {
    "eval": ("eval", "HIGH", "eval runs any code that is in the text"),
    "exec": ("exec", "HIGH", "exec runs any code that is in the text"),
    "os.system": ("shell", "HIGH", "os.system gives the text to a shell: use subprocess.run with a list"),
    "os.popen": ("shell", "HIGH", "os.popen gives the text to a shell: use subprocess.run with a list"),
    "subprocess.getoutput": ("shell", "HIGH", "it gives the text to a shell: use subprocess.run with a list"),
    "subprocess.getstatusoutput": ("shell", "HIGH", "it gives the text to a shell: use subprocess.run with a list"),
    "pickle.load": ("pickle", "HIGH", "loading a pickle runs code that is in it"),
    "pickle.loads": ("pickle", "HIGH", "loading a pickle runs code that is in it"),
    "marshal.loads": ("pickle", "HIGH", "marshal is not made for data of others"),
    "shelve.open": ("pickle", "MEDIUM", "a shelf is pickles: opening another's runs code that is in it"),
    "yaml.unsafe_load": ("yaml", "HIGH", "it makes any object the text names: use yaml.safe_load"),
    "yaml.full_load": ("yaml", "MEDIUM", "use yaml.safe_load"),
    "tempfile.mktemp": ("mktemp", "MEDIUM", "somebody else can make the file first: use tempfile.mkstemp"),
    "hashlib.md5": ("weak-hash", "MEDIUM", "MD5 is broken: use SHA-256, or usedforsecurity=False"),
    "hashlib.sha1": ("weak-hash", "MEDIUM", "SHA-1 is broken: use SHA-256, or usedforsecurity=False"),
    "ssl._create_unverified_context": ("tls", "HIGH", "certificates are not verified"),
    "xml.etree.ElementTree.parse": ("xml", "LOW", "entities of hostile XML can fill the memory"),
    "xml.etree.ElementTree.fromstring": ("xml", "LOW", "entities of hostile XML can fill the memory"),
    "flask.render_template_string": ("template", "MEDIUM", "a template from data runs expressions that are in it"),
}
_SHELL_TAKERS = ("run", "Popen", "call", "check_call", "check_output")
_EXECUTES = ("execute", "executemany", "executescript", "raw")
_SQL = re.compile(r"(?is)\b(?:select\b.+\bfrom|insert\s+into|update\b.+\bset|delete\s+from|drop\s+table)\b")


def scan(request: Request) -> Measured:
    lowest = LEVELS.index(str(request.options.get("level", "LOW")))
    found: list[Found] = []
    count = 0
    for file in request.files(("**/*.py",)):
        if file.data is None:
            return not_measured(f"{file.path} is too large to be looked at", "exclude it if it is not yours")
        count += 1
        try:
            tree = ast.parse(file.data, file.path)
        except (SyntaxError, ValueError, RecursionError):
            return not_measured(f"{file.path} cannot be parsed", "mend it: the check compile says what is wrong")
        found += weak_places(tree, file.path)
    if not count:
        return not_measured("there is no Python file", "set paths, or remove the check")
    found = [one for one in found if LEVELS.index(one.severity) >= lowest]
    found.sort(key=lambda one: (-LEVELS.index(one.severity), one.path, one.line))
    return verdict(found, f"{count} files", Fraction(len(found)))


def weak_places(tree: ast.AST, path: str) -> Iterator[Found]:
    """Every call of a kind that is known to be dangerous."""
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _full_name(node.func, names)
            for rule, severity, message in _judged(node, name):
                yield Found(message, path, node.lineno, rule, severity)


def _imported(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                names[one.asname or one.name.partition(".")[0]] = one.name if one.asname else one.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({one.asname or one.name: f"{node.module}.{one.name}" for one in node.names})
    return names


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return "." + ".".join(reversed(parts)) if parts else ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _judged(call: ast.Call, name: str) -> Iterator[tuple[str, str, str]]:
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    last = name.rpartition(".")[2]
    name = name.removeprefix("builtins.")
    is_fixed = name in ("eval", "exec") and bool(call.args) and isinstance(call.args[0], ast.Constant)
    is_no_secret = name.startswith("hashlib.") and _is(given.get("usedforsecurity"), False)
    if name in _CALLS and not is_fixed and not is_no_secret:
        yield _CALLS[name]
    if name.startswith("subprocess.") and last in _SHELL_TAKERS and "shell" in given and not _is(given["shell"], False):
        yield "shell", "HIGH", "shell=True gives the text to a shell: pass a list"
    if name == "yaml.load" and "Safe" not in ast.unparse(call):
        yield "yaml", "HIGH", "yaml.load makes any object the text names: use yaml.safe_load"
    if name == "hashlib.new" and call.args and _is(call.args[0], "md5", "sha1", "MD5", "SHA1"):
        yield "weak-hash", "MEDIUM", "MD5 and SHA-1 are broken: use SHA-256"
    if "verify" in given and _is(given["verify"], False):
        yield "tls", "HIGH", "verify=False: certificates are not verified"
    if _is(given.get("debug"), True) and last == "run":
        yield "debug", "MEDIUM", "debug=True lets visitors run code in many frameworks"
    if last in _EXECUTES and call.args and _is_built_sql(call.args[0]):
        yield "sql", "HIGH", "SQL put together from values: use parameters"
    if last == "extractall" and "filter" not in given and "tar" in name.lower():
        yield "tar", "MEDIUM", "names in an archive can lead outside: pass filter='data'"


def _is(node: ast.expr | None, *values: object) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is v or node.value == v for v in values)


def _is_built_sql(node: ast.expr) -> bool:
    """Whether a text with SQL words in it is put together from something that is no constant."""
    match node:
        case ast.JoinedStr(values=values):
            is_built = any(isinstance(value, ast.FormattedValue) for value in values)
        case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
            is_built = not (isinstance(left, ast.Constant) and isinstance(right, ast.Constant))
        case ast.Call(func=ast.Attribute(attr="format")):
            is_built = True
        case _:
            return False
    texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return is_built and _SQL.search(" ? ".join(texts)) is not None
