"""``artifacts/decision-matrix.yml``: the format of seed 000 as it stands, compiled to rules.

::

    decision_rules:
      testing_agent:                 # whose rules they are
        if_coverage_below_80:        # if_<metric>_<above|below>_<number><unit>, or if_<condition>
          action: request_more_tests
          notify: [backend-agent]
      security_agent:
        if_vulnerability_found:
          severity_critical: {action: block_deployment, notify: [error-agent]}
    aliases: {devops-agent: backend}  # added to the seed: other names of services

Thresholds are read from the names. A unit is ms, s, %, kb, mb, gb or none. ``action`` and ``notify`` are a name or
a list.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.findings import SEVERITIES
from swarm_core.vocabulary.rules import ACTIONS, MATRIX_FILE, PROTOCOLS, SHIPPED, Matrix, Rule

from .marked import MAX_FILE_BYTES, Marked, compose, contents, decoded, too_large

HELP = "docs/decisions-matrix.md explains every word; swarm-tui matrix list shows the rules in force"
MAX_RULES = 500
_THRESHOLD = re.compile(r"([a-z][a-z0-9_]*?)_(above|below)_([0-9]{1,12}(?:[._][0-9]{1,6})?)(ms|s|%|percent|kb|mb|gb)?")
_CONDITION = re.compile(r"[a-z][a-z0-9_]{0,79}")
_SIGNS = {"above": ">", "below": "<"}
_LEAF = ("action", "actions", "execute", "notify")


def load_matrix(root: Path) -> Matrix:
    """The rules of a repository: its own file, or the shipped one. Raises ConfigurationError with ``file:line``."""
    path = root / MATRIX_FILE
    if not path.exists() and not path.is_symlink():
        return shipped_matrix()
    if not path.resolve().is_relative_to(root.resolve()):
        raise ConfigurationError(
            "leads out of the repository", path=MATRIX_FILE, line=1, hint="put the file itself there"
        )
    return read_matrix(contents(path, MATRIX_FILE), MATRIX_FILE)


def shipped_matrix() -> Matrix:
    """The rules of a repository that has none of its own."""
    data = (files("swarm_core") / "catalog" / "decision-matrix.yml").read_bytes()
    return read_matrix(data, SHIPPED)


def read_matrix(data: bytes, path: Path | str = MATRIX_FILE) -> Matrix:
    """Compile a file's bytes. Raises ConfigurationError with ``file:line`` and the next step."""
    if len(data) > MAX_FILE_BYTES:
        raise too_large(path)
    top = compose(decoded(data, path), path).fields(("version", "decision_rules", "aliases"))
    if "decision_rules" not in top:
        raise ConfigurationError("decision_rules are missing", path=path, line=1, hint=HELP)
    rules = tuple(_rules(top["decision_rules"]))
    if len(rules) > MAX_RULES:
        raise top["decision_rules"].wrong(f"{len(rules)} rules are too many; the limit is {MAX_RULES}", HELP)
    aliases = {name: value.text() for name, value in top["aliases"].items()} if "aliases" in top else {}
    return Matrix(rules, aliases, str(path), hashlib.sha256(data).hexdigest())


def _rules(top: Marked) -> Iterator[Rule]:
    for agent, named in top.items():
        for name, body in named.items():
            when = _when(name, body)
            entries = dict(body.items())
            levels = {key: level for key in entries if (level := _level(key))}
            if levels and (mixed := [key for key in entries if key not in levels]):
                raise entries[mixed[0]].wrong("stands beside severity levels", "put it under one of the levels")
            if not levels:
                yield _rule(f"{agent}.{name}", agent, when, "", body)
            for key, level in levels.items():
                yield _rule(f"{agent}.{name}.{key}", agent, when, level, entries[key])


def _level(key: str) -> str:
    """The severity that a key stands for: ``severity_critical`` or ``critical``."""
    level = key.removeprefix("severity_").upper()
    return level if level in SEVERITIES else ""


def _when(name: str, body: Marked) -> tuple[str, str, float, str, str]:
    """Metric, sign, limit, unit and condition of a rule's name."""
    text = name.removeprefix("if_")
    if text == name:
        raise body.wrong("is not a rule", "a rule's name begins with if_, such as if_coverage_below_80")
    if match := _THRESHOLD.fullmatch(text):
        metric, word, number, unit = match.groups()
        return metric, _SIGNS[word], float(number.replace("_", ".")), {"percent": "%"}.get(unit or "", unit or ""), ""
    if re.search(r"_(above|below)(_|$)", text):
        raise body.wrong(
            "has no threshold that can be read", "write if_coverage_below_80 or if_response_time_above_200ms"
        )
    if _CONDITION.fullmatch(text) is None:
        raise body.wrong("is not the name of a condition", "lower-case letters, digits and _, such as if_tests_fail")
    return "", "", 0.0, "", text


def _rule(id: str, agent: str, when: tuple[str, str, float, str, str], severity: str, body: Marked) -> Rule:
    fields = {}
    for key, value in body.items():
        if key not in _LEAF:
            close = difflib.get_close_matches(key, (*_LEAF, *(f"severity_{s.lower()}" for s in SEVERITIES)), 1)
            raise value.wrong("unknown key", f"did you mean {close[0]!r}?" if close else f"known: {', '.join(_LEAF)}")
        fields[key] = value
    do = [_known(item, ACTIONS) for key in ("action", "actions") if key in fields for item in _some(fields[key])]
    execute = _known(fields["execute"], PROTOCOLS) if "execute" in fields else ""
    notify = tuple(dict.fromkeys(item.text().strip() for item in _some(fields["notify"]))) if "notify" in fields else ()
    if not do and not execute and not notify:
        raise body.wrong("does nothing", f"give it an action: {', '.join(ACTIONS)}")
    metric, sign, limit, unit, condition = when
    place = f"{body.path}:{body.line}"
    return Rule(
        id, agent, metric, sign, limit, unit, condition, severity, tuple(dict.fromkeys(do)), execute, notify, place
    )


def _some(marked: Marked) -> list[Marked]:
    """A name or a list of names."""
    try:
        return marked.sequence()
    except ConfigurationError:
        marked.text()
        return [marked]


def _known(marked: Marked, options: tuple[str, ...]) -> str:
    name = marked.text().strip()
    if name in options:
        return name
    close = difflib.get_close_matches(name, options, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise marked.wrong(f"there is no action {name!r}", f"{hint}The actions are {', '.join(options)}")
