"""``error-reports.md``: what is wrong in a run and what is done about it, in the shape of seed 000."""

from __future__ import annotations

from dataclasses import dataclass

from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.view import RunView

from .blocks import one_line, parse_fields, plain, render_fields, sections

TITLE = "# Error Analysis Report"
GROUPS = {
    "CRITICAL": "Critical Issues Detected",
    "HIGH": "High Issues Detected",
    "MEDIUM": "Medium Issues Detected",
    "LOW": "Low Issues Detected",
}
ACTIONS, RECOMMENDATIONS = "Automated Actions Taken", "Recommendations"
NONE, ADVICE = "None.", "`swarm-tui findings` shows each with its evidence; what nobody owns waits for you."


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue. ``status`` is a sentence, such as ``Auto-fixed in commit abc123``."""

    title: str
    id: str = ""
    severity: str = "MEDIUM"
    location: str = ""
    issue: str = ""
    resolution: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    generated: str = ""
    issues: tuple[Issue, ...] = ()
    actions: tuple[str, ...] = ()


def report(view: RunView) -> Report:
    """The report of a run as of its last event. Issues come by severity, then in the order they were raised."""
    issues = [
        Issue(
            one_line(found.title),
            one_line(found.id),
            found.severity if found.severity in GROUPS else "MEDIUM",
            one_line(found.location),
            plain(found.issue),
            plain(found.fix),
            status_of(found),
        )
        for found in view.findings.values()
    ]
    order = list(GROUPS)
    return Report(
        view.last_ts, tuple(sorted(issues, key=lambda issue: order.index(issue.severity))), tuple(actions(view))
    )


def status_of(found: Finding) -> str:
    """What became of a finding, in the words of the seed, with the real commit."""
    match found.status:
        case "open":
            return "Open"
        case "fixing":
            return f"In progress ({found.task})" if found.task else "In progress"
        case "fixed":
            return f"Fixed in commit {found.commit}, not verified yet"
        case "unresolved":
            return one_line(f"Unresolved: {found.reason}")
        case _ if found.resolution == "verified":
            return f"Auto-fixed in commit {found.commit}" if found.commit else "Verified: it is gone"
        case _:
            return one_line(f"Closed as {found.resolution}: {found.reason}".removesuffix(": "))


def actions(view: RunView) -> list[str]:
    """What the engine did by itself."""
    out = [
        one_line(f"Gave {found.id} to {found.owner} as {found.task}") for found in view.findings.values() if found.task
    ]
    out += [
        one_line(f"Opened {incident.id} ({incident.severity}): {incident.reason}")
        for incident in view.incidents.values()
    ]
    return out


def render(document: Report) -> str:
    lines = [TITLE, f"Generated: {document.generated}".rstrip(), ""]
    number = 0
    for severity, heading in GROUPS.items():
        issues = [issue for issue in document.issues if issue.severity == severity]
        is_always_there = severity == "CRITICAL"
        lines += [f"## {heading}", ""] if issues or is_always_there else []
        lines += [NONE, ""] if is_always_there and not issues else []
        for issue in issues:
            number += 1
            fields = {
                "Id": issue.id,
                "Location": issue.location,
                "Issue": issue.issue,
                "Resolution": issue.resolution,
                "Status": issue.status,
            }
            lines += [f"### {number}. {issue.title}".rstrip(), *render_fields(fields), ""]
    actions = [f"{n}. {text}" for n, text in enumerate(document.actions, 1)]
    lines += [f"## {ACTIONS}", *(actions or ["", NONE]), "", f"## {RECOMMENDATIONS}", "", ADVICE, ""]
    return "\n".join(lines)


def parse(text: str) -> Report:
    """The report in a document of ours or of the seed. What belongs to neither is left out."""
    head = next((line for line in text.split("\n")[:4] if line.startswith("Generated:")), "")
    issues: list[Issue] = []
    done: list[str] = []
    by_heading = {heading: severity for severity, heading in GROUPS.items()}
    for heading, lines in sections(text, "##"):
        if heading == ACTIONS:
            done += [line.partition(". ")[2] for line in lines if line.partition(". ")[0].isdecimal()]
        for title, below in sections("\n".join(lines), "###") if heading in by_heading else ():
            issues.append(_issue(title, parse_fields(below), by_heading[heading]))
    return Report(head.removeprefix("Generated:").strip(), tuple(issues), tuple(done))


def _issue(title: str, found: dict[str, str], severity: str) -> Issue:
    number, _, rest = title.partition(".")
    return Issue(
        (rest if number.isdecimal() else title).strip(),
        found.get("Id", ""),
        severity,
        found.get("Location", ""),
        found.get("Issue", ""),
        found.get("Resolution", ""),
        found.get("Status", ""),
    )
