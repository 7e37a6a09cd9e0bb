"""``recovery-actions.yml``: what is under way, or was done, to put right what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.view import RunView

from .blocks import one_line

FILE = "recovery-actions.yml"
FIELDS = ("id", "kind", "subject", "status", "owner", "task", "commit", "reason")


@dataclass(frozen=True, slots=True)
class Action:
    """``kind``: fix (a task for a finding), recovery (an incident). ``subject`` names what it is about."""

    id: str
    kind: str
    subject: str = ""
    status: str = ""
    owner: str = ""
    task: str = ""
    commit: str = ""
    reason: str = ""


def actions(view: RunView) -> list[Action]:
    """What is done about the findings somebody was sent for, and about the incidents."""
    out = [
        Action(
            f"fix-{found.id}",
            "fix",
            one_line(found.title),
            found.status,
            found.owner,
            found.task,
            found.commit,
            one_line(found.reason),
        )
        for found in view.findings.values()
        if found.rounds
    ]
    out += [
        Action(f"recover-{one.id}", "recovery", one_line(one.subject), one.status, reason=one_line(one.reason))
        for one in view.incidents.values()
    ]
    return out


def render(found: Iterable[Action]) -> str:
    import yaml

    rows = [{key: value for key, value in asdict(one).items() if value} for one in found]
    return yaml.safe_dump({"recovery_actions": rows}, sort_keys=False, allow_unicode=True, width=4096)


def parse(text: str, path: str = FILE) -> list[Action]:
    """Raises ConfigurationError with the line where the document is none of ours."""
    import yaml

    try:
        if any(isinstance(token, yaml.AliasEvent) for token in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ConfigurationError("aliases (*name) are not supported", path=path, line=1)
        body = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError("is not valid YAML", path=path, line=mark.line + 1 if mark else 1) from error
    except RecursionError:
        raise ConfigurationError("is nested too deep to be read", path=path, line=1) from None
    rows = body.get("recovery_actions") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
        raise ConfigurationError("has no list recovery_actions of entries with an id", path=path, line=1)
    return [Action(**{"kind": "", **{key: str(row.get(key, "")) for key in FIELDS if key in row}}) for row in rows]
