"""What was found in a run and what its rules decided, folded from the journal."""

from __future__ import annotations

from collections.abc import Callable

from swarm_core.vocabulary.events import Event

from .past import Issue, Ruling, word, words

ISSUES = {
    "finding.fix_started": "fixing",
    "finding.fixed": "fixed",
    "finding.reopened": "open",
    "finding.unresolved": "unresolved",
    "finding.closed": "closed",
}


class Rules:
    """The findings of a run and its decisions without a gate, each with the files it is about."""

    def __init__(self) -> None:
        self.issues: dict[str, Issue] = {}
        self.rulings: dict[str, Ruling] = {}
        self._facts: dict[str, tuple[str, ...]] = {}
        self._subjects: dict[str, str] = {}

    def take(self, event: Event) -> None:
        if (taken := _TAKERS.get(event.kind)) is not None:
            taken(self, event)

    def _measured(self, event: Event) -> None:
        self._facts[f"check:{word(event.data, 'name')}:{event.task or ''}"] = words(event.data.get("files"))

    def _found(self, event: Event) -> None:
        data, name = event.data, word(event.data, "finding")
        issue = Issue(name, word(data, "title"), word(data, "severity"), "open", word(data, "location"))
        issue.paths, issue.owner, issue.about = words(data.get("paths")), word(data, "owner"), word(data, "about")
        issue.raised_by, issue.seq, issue.at = event.actor, event.seq, event.ts
        self.issues[name] = issue
        place = issue.location.partition(":")[0].partition("#")[0]
        self._facts[f"finding:{name}"] = issue.paths or ((place,) if place else ())

    def _issue(self, event: Event) -> None:
        data, issue = event.data, self.issues.get(word(event.data, "finding"))
        if issue is None:
            return
        issue.status = ISSUES[event.kind]
        for name in ("owner", "resolution", "commit"):
            setattr(issue, name, word(data, name) or getattr(issue, name))
        issue.reason = word(data, "reason")
        if (task := word(data, "task")) and task not in issue.tasks:
            issue.tasks = (*issue.tasks, task)

    def _broke(self, event: Event) -> None:
        subject = word(event.data, "subject").split()
        self._subjects[word(event.data, "incident")] = subject[0] if subject else ""

    def _conflict(self, event: Event) -> None:
        self._facts[f"conflict:{event.task}"] = words(event.data.get("paths"))

    def _fired(self, event: Event) -> None:
        data, fact = event.data, word(event.data, "fact")
        ruling = Ruling(word(data, "firing"), word(data, "rule"), event.seq, event.ts, why=word(data, "why"))
        ruling.evidence, ruling.fact, ruling.task = word(data, "evidence"), fact, event.task or ""
        ruling.paths, ruling.chosen = self._facts.get(fact, ()), words(data.get("actions"))
        self.rulings[ruling.id] = ruling

    def _decided(self, event: Event) -> None:
        data, name = event.data, word(event.data, "decision")
        ruling = self.rulings.get(name)
        if ruling is None:
            subject = word(data, "subject")
            about = self._subjects.get(subject, subject)
            ruling = Ruling(name, word(data, "rule"), event.seq, event.ts, fact=subject, task=event.task or about)
            if before := self.rulings.get(about):  # how a run goes on that a rule has stopped
                ruling.task, ruling.paths = before.task, before.paths
            self.rulings[name] = ruling
        evidence = words(data.get("evidence"))
        ruling.method = word(data, "method") or ruling.method
        ruling.why = word(data, "why") or ruling.why
        ruling.chosen = words(data.get("chosen")) or ruling.chosen
        ruling.evidence = ruling.evidence or next(iter(evidence), "")
        ruling.document = next((one for one in evidence if "/" in one), "")

    def _acted(self, event: Event) -> None:
        data = event.data
        if ruling := self.rulings.get(word(data, "firing")):
            ruling.outcome[word(data, "action")] = word(data, "result")
            ruling.tasks += words(data.get("tasks"))
            ruling.finding = word(data, "finding") or ruling.finding

    def _settled(self, event: Event) -> None:
        if ruling := self.rulings.get(word(event.data, "firing")):
            waived = f"waived by the operator: {word(event.data, 'note')}"
            ruling.settled = waived if event.kind == "rule.waived" else word(event.data, "how") or "settled"
            issue = self.issues.get(ruling.finding)
            if event.kind == "rule.waived" and issue is not None and issue.status != "closed":
                issue.status, issue.resolution = "closed", "accepted"


_TAKERS: dict[str, Callable[[Rules, Event], None]] = {
    **{f"check.{said}": Rules._measured for said in ("passed", "failed", "not_measured")},
    "merge.conflicted": Rules._conflict,
    "finding.opened": Rules._found,
    **dict.fromkeys(ISSUES, Rules._issue),
    "incident.opened": Rules._broke,
    "rule.fired": Rules._fired,
    "decision.made": Rules._decided,
    "action.done": Rules._acted,
    "rule.settled": Rules._settled,
    "rule.waived": Rules._settled,
}
