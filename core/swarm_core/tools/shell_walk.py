"""Going through a parsed Bash text in the order in which it runs, with the directory that is known at each place."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .shell_words import Script, Simple


class Walk(ABC):
    """Visits every simple command. ``directory`` is None where it is not known; a subshell gives it back at its end."""

    def __init__(self, directory: str) -> None:
        self.directory: str | None = directory

    def script(self, script: Script, depth: int) -> None:
        before = self.directory
        for item in script.items:
            if isinstance(item, Script):
                self.script(item, depth)
            else:
                self._substitutions(item, depth)
                self.simple(item, depth)
        if script.is_subshell:
            self.directory = before

    def _substitutions(self, simple: Simple, depth: int) -> None:
        """What runs inside a command's words before the command itself."""
        bodies = [redirect.body for redirect in simple.redirects if redirect.body is not None]
        places = [redirect.target for redirect in simple.redirects]
        for word in (*simple.words, *simple.assignments, *simple.data, *places, *bodies):
            for script in word.scripts:
                self.script(script, depth + 1)

    @abstractmethod
    def simple(self, simple: Simple, depth: int) -> None:
        """One command, after what runs inside its words."""
