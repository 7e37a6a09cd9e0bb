"""Permission rules: ``Tool`` or ``Tool(what)``, in the lists deny, ask and allow.

Deny is looked at first, then ask, then allow; the first list with a match decides, and how exact a rule is decides
nothing. What an operator granted at a gate answers an ask rule and never a deny rule. The syntax and the cases are
those of Claude Code's ``settings.json``; see ``docs/permissions.md`` for where this engine is stricter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import RuleText

from .commands import Command, Hidden, Unreadable, read_commands
from .paths import Bases, is_path, may_be_path
from .patterns import HOLE, is_glob, is_match, may_match
from .rule import ALIASES, EDIT_TOOLS, PARAMETER, READ_TOOLS, SUBJECTS, WRITTEN, BadRule, Call, Decision, Effect, Rule

# What only changes the swarm's own papers: a default of ask or deny is not about it, a rule that names it is.
UNASKED = READ_TOOLS | {"commit", "handoff", "plan_tasks", "change_plan", "request_tasks", "update_status", "Skill"}
MAX_RULES = 5_000


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules for one service in one tree. ``default`` is for calls that no rule is about."""

    bases: Bases
    rules: tuple[Rule, ...] = ()
    granted: tuple[Rule, ...] = ()
    default: Effect = "allow"
    is_needed: bool = field(init=False)

    def __post_init__(self) -> None:
        needed = self.default != "allow" or any(not rule.is_allow for rule in self.rules)
        object.__setattr__(self, "is_needed", needed)

    def decide(self, tool: str, arguments: Mapping[str, Any]) -> Decision:
        """Deny, then ask, then allow, then the default; each part of a compound command by itself."""
        if not self.is_needed:
            allowing = next((rule for rule in self.rules if rule.tool == tool and not rule.spec), None)
            return Decision("allow", allowing)
        call = self.read(tool, arguments)
        if call.unreadable:
            return self._unreadable(call)
        if (denied := self._first("deny", call)) is not None:
            return denied
        parts = [Call(tool, arguments, commands=(part,)) for part in call.commands] or [call]
        decisions = [self.decide_part(part) for part in parts]
        order = {"deny": 0, "ask": 1, "allow": 2}
        return min(decisions, key=lambda decision: order[decision.effect])

    def read(self, tool: str, arguments: Mapping[str, Any]) -> Call:
        """What rules need to know of a call."""
        tool = ALIASES.get(tool, tool)
        subject = next((str(arguments[key]) for key in SUBJECTS.get(tool, ()) if key in arguments), "")
        if tool == "Bash":
            try:
                return Call(tool, arguments, subject, commands=tuple(read_commands(subject, self.bases.tree)))
            except (Unreadable, Hidden) as error:
                return Call(tool, arguments, subject, unreadable=str(error))
        if tool in READ_TOOLS | EDIT_TOOLS:
            return Call(tool, arguments, subject, paths=self._paths(subject or self.bases.tree))
        return Call(tool, arguments, subject)

    def covers(self, rule: Rule, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether an allow rule would let a whole call pass."""
        call = self.read(tool, arguments)
        if call.unreadable:
            return not rule.spec and rule.names(call.tool)
        parts = [Call(call.tool, arguments, commands=(part,)) for part in call.commands] or [call]
        return all(self._is_match(rule, part) for part in parts)

    def opens(self, rule: Rule, call: Call) -> bool:
        """Whether an allow rule matches one part of a call."""
        return self._is_match(rule, call)

    # -- the lists

    def decide_part(self, call: Call) -> Decision:
        """What follows for one part of a call that no deny rule matches."""
        otherwise = self._decide_asked(call)
        maybe = self._first("deny", call, self._may_match)
        if maybe is None or otherwise.effect == "deny":
            return otherwise
        # What may be denied is opened for one call, never for more: no grant answers it.
        return Decision("ask", maybe.rule, "a part of it is known only when it runs", is_sure=False)

    def _decide_asked(self, call: Call) -> Decision:
        """What follows for a part that no deny rule can be about."""
        asked = self._first("ask", call) or self._first("ask", call, self._may_match)
        if asked is not None:
            grant = next((rule for rule in self.granted if self._is_match(rule, call)), None)
            return Decision("ask", asked.rule) if grant is None else Decision("allow", grant, "granted at a gate")
        if (allowed := self._first("allow", call)) is not None:
            return allowed
        if (grant := next((rule for rule in self.granted if self._is_match(rule, call)), None)) is not None:
            return Decision("allow", grant, "granted at a gate")
        if self.default != "deny" and (call.tool in UNASKED or (call.commands and call.commands[0].is_read_only)):
            return Decision("allow", None, "it only reads" if call.commands or call.tool in READ_TOOLS else "")
        if call.tool == "Bash" and not call.commands:
            return Decision("allow", None, "nothing runs")
        return Decision("allow" if call.tool in UNASKED - READ_TOOLS else self.default, None, "no rule is about it")

    def _first(self, effect: Effect, call: Call, test: Callable[[Rule, Call], bool] | None = None) -> Decision | None:
        test = test or self._is_match
        for rule in self.rules:
            if rule.source.effect == effect and test(rule, call):
                return Decision(effect, rule)
        return None

    def _unreadable(self, call: Call) -> Decision:
        """What cannot be read may be anything; it passes only where no rule could be about it."""
        mine = [rule for rule in self.rules if rule.names(call.tool) or rule.tool in ("Read", "Edit")]
        closing = next((rule for rule in mine if rule.source.effect == "deny"), None)
        closing = closing or next((rule for rule in mine if rule.source.effect == "ask"), None)
        if closing is None and self.default == "allow":
            return Decision("allow", None, "no rule is about it")
        return Decision("deny", closing, f"the command cannot be judged: {call.unreadable}", is_sure=False)

    # -- one rule

    def _is_match(self, rule: Rule, call: Call) -> bool:
        if call.commands and not rule.is_allow and rule.tool in ("Read", "Edit"):
            return bool(rule.spec) and any(self._is_ruled(rule, path) for path in _touched(rule, call))
        if not rule.names(call.tool):
            return False
        if not rule.spec:
            return True
        if not rule.is_allow and (found := self._parameter(rule, call)) is not None:
            return found
        if call.tool == "Bash":
            if rule.is_allow:
                return bool(call.commands) and all(_opens(rule, command) for command in call.commands)
            return any(
                is_match(rule.spec, text)
                for command in call.commands
                for text in (*command.closed, *command.open, *command.exact)
            )
        if call.tool in READ_TOOLS | EDIT_TOOLS:
            found_in = [self._is_ruled(rule, path) for path in call.paths]
            return all(found_in) if rule.is_allow else any(found_in)
        if call.tool == "WebFetch":
            return _is_domain(rule.spec, call.subject)
        if call.tool == "Skill":
            words = f"{call.subject} {call.arguments.get('args', '') or ''}".strip()
            return is_match(rule.spec, words) or (not rule.is_allow and is_match(rule.spec, call.subject))
        return call.tool == "Agent" and is_match(rule.spec, call.subject)

    def _may_match(self, rule: Rule, call: Call) -> bool:
        """Whether a closing rule may be about a command once its unknown parts are known."""
        for command in call.commands:
            if rule.tool in ("Read", "Edit") and rule.spec:
                unknown = [path for path in _touched(rule, Call(call.tool, {}, commands=(command,))) if HOLE in path]
                if any(may_be_path(rule.spec, path, self.bases) for path in unknown):
                    return True
            elif rule.names(call.tool) and any(
                HOLE in text and may_match(rule.spec or "*", text) for text in command.closed
            ):
                return True
        return False

    @staticmethod
    def _parameter(rule: Rule, call: Call) -> bool | None:
        """``Tool(param:value)``; None if the rule is not of that form for this tool."""
        match = PARAMETER.fullmatch(rule.spec)
        if (
            match is None
            or match[1] in SUBJECTS.get(call.tool, ())
            or (call.tool == "WebFetch" and match[1] == "domain")
        ):
            return None
        known = call.tool not in SUBJECTS or match[1] in call.arguments
        if not known:
            return None
        value = call.arguments.get(match[1])
        text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        wanted = match[2].strip()
        return match[1] in call.arguments and (
            is_glob(wanted, text) or (isinstance(value, bool) and wanted.lower() == text)
        )

    def _is_ruled(self, rule: Rule, path: str) -> bool:
        """Whether a path is the rule's, by its name or by where its links lead."""
        if HOLE in path:
            return False
        is_allow = rule.is_allow
        found = [is_path(rule.spec, name, self.bases, is_allow=is_allow) for name in self._paths(path)]
        return all(found) if is_allow else any(found)

    def _paths(self, path: str) -> tuple[str, ...]:
        """A path as it is written and as its links resolve, both absolute."""
        joined = os.path.join(self.bases.tree, os.path.expanduser(path))  # noqa: PTH111, PTH118 - Path() loses a leading //
        plain = os.path.normpath("/" + joined.lstrip("/"))
        try:
            real = os.path.realpath(joined)
        except (OSError, ValueError):
            return (plain,)
        return (plain,) if real == plain else (plain, real)


def compile_rules(
    texts: Iterable[RuleText], tree: Path, *, default: Effect = "allow", granted: Iterable[RuleText] = ()
) -> tuple[RuleSet, list[str]]:
    """The rules for a tree, and warnings about texts that are no rules.

    A bad rule of the operator's own configuration raises ConfigurationError with its file and line; so does a text
    that denies or asks and cannot be read as a rule at all: to run without it would be to run with fewer rules.
    """
    rules: list[Rule] = []
    warnings: list[str] = []
    for text in texts:
        try:
            rules.append(Rule.parse(text))
        except BadRule as error:
            if text.is_own or (text.effect != "allow" and WRITTEN.fullmatch(text.text.strip()) is None):
                raise ConfigurationError(
                    str(error),
                    path=text.path or None,
                    line=text.line or None,
                    hint="docs/permissions.md has the syntax",
                ) from None
            warnings.append(f"{text.place}: {error}")
    if len(rules) > MAX_RULES:
        raise ConfigurationError(f"{len(rules)} permission rules are too many; the limit is {MAX_RULES}")
    grants: list[Rule] = []
    for text in granted:
        try:
            grants.append(Rule.parse(text))
        except BadRule as error:
            warnings.append(f"{text.place}: {error}")
    return RuleSet(Bases.of(Path(os.path.realpath(tree))), tuple(rules), tuple(grants), default), warnings


def _opens(rule: Rule, command: Command) -> bool:
    if rule.spec in (*command.exact, command.written):
        return True
    written = [command.written] if command.written and not command.exact else []
    return any(is_match(rule.spec, text) for text in (*command.open, *written))


def _touched(rule: Rule, call: Call) -> list[str]:
    """The files a command names that a closing rule is about: reading is closed for writing as well."""
    out: list[str] = []
    for command in call.commands:
        out += command.writes
        if rule.tool == "Read":
            out += command.reads
    return out


def _is_domain(spec: str, url: str) -> bool:
    wanted = spec.removeprefix("domain:").strip().lower().rstrip(".")
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower().rstrip(".")
    except ValueError:
        return False
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
    if wanted == "*":
        return bool(host)
    if "*" not in wanted:
        return bool(host) and host == wanted
    labels, wanted_labels = host.split("."), wanted.split(".")
    return len(labels) == len(wanted_labels) and all(map(is_glob, wanted_labels, labels))
