"""Questions that need the operator's leave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """A call, or something a repository brings, that needs the operator's leave.

    ``subject`` is what it is about (a command, a path, the content to be trusted), ``details`` the other arguments,
    ``rule`` what asked, ``proposed`` the rules that would have let it pass, ``sha256`` the content a trust is bound to.
    ``answer`` is approve, reject or withdrawn; ``scope`` of a yes: once, session or always. Once answered, the long
    texts are cut: the gate's document has them.
    """

    id: str
    tool: str
    subject: str = ""
    details: str = ""
    rule: str = ""
    why: str = ""
    proposed: tuple[str, ...] = ()
    service: str = ""
    directory: str = ""
    sha256: str = ""
    task: str = ""
    instance: str = ""
    attempt: int = 0
    gate: str = ""
    answer: str = ""
    scope: str = ""
    note: str = ""

    @property
    def place(self) -> str:
        """Where its gate is: ``trust`` for content, ``permission`` for a call."""
        return "trust" if self.sha256 else "permission"
