"""What the operator says about a finding, a question or a rule that fired: typed words, sent to the engine."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.widgets import Input

from swarm_core.vocabulary.clean import clean_line

from .requests import Request, Requests


@dataclass(frozen=True, slots=True)
class Words:
    """A request that waits for the operator's words about one thing; ``name`` is the field they go into."""

    request: Request
    name: str
    missing: str


class Answers(Requests):
    """A screen with an ``Input`` named ``words``, hidden until there is something to say."""

    def __init__(self) -> None:
        super().__init__()
        self._words: Words | None = None

    @property
    def section_key(self) -> str:
        """Which kind of thing is in sight."""
        raise NotImplementedError

    @property
    def name_here(self) -> str:
        """What the cursor is on; empty for nothing."""
        raise NotImplementedError

    def focus_back(self) -> None:
        """Where the keys go when nothing is asked any more."""
        raise NotImplementedError

    def action_close_finding(self) -> None:
        name = self._chosen_in("findings", "c closes a finding: 2 goes to them")
        if not name:
            return
        if (finding := self.store.view.findings[name]).status == "closed":
            self.say(f"{name} is closed already: {finding.resolution}")
            return
        data = {"finding": name, "resolution": "accepted"}
        self._ask(
            Words(Request("finding.close", f"accept {name}", data), "note", "Say why it may stay as it is."),
            f"Why may {name} stay as it is? Enter closes it as accepted, Esc goes back",
            f"{name} {finding.severity}: {finding.title}",
        )

    def action_answer(self) -> None:
        name = self._chosen_in("questions", "a answers a question: 3 goes to them")
        if not name:
            return
        question = self.store.view.questions[name]
        if question.get("answer"):
            self.say(f"{name} is answered already: {question['answer']}")
            return
        options = " | ".join(str(option) for option in question.get("options", ()))
        self._ask(
            Words(Request("question.answer", f"answer {name}", {"question": name}), "answer", "The answer is empty."),
            f"Your answer to {name}. Enter sends, Esc goes back",
            f"{question.get('text', '')}{f'  Options: {options}' if options else ''}",
        )

    def action_waive(self) -> None:
        name = self._chosen_in("decisions", "w waives what a rule did: 4 goes to them")
        if not name:
            return
        firing = self.store.view.firings[name]
        if firing.settled:
            self.say(f"{name} is over: {firing.settled}")
            return
        self._ask(
            Words(Request("rule.waive", f"waive {name}", {"firing": name}), "note", "Say why: it is told with it."),
            f"Why do you take {name} on you? Enter waives it, Esc goes back",
            f"{firing.why}: {', '.join(firing.actions)}",
        )

    def _chosen_in(self, key: str, elsewhere: str) -> str:
        """What the cursor is on, if this is the section for it and something can still be done."""
        if self.section_key != key:
            self.say(f"{elsewhere}.")
            return ""
        name = self.name_here
        if not name:
            self.say("There is nothing here yet.")
        elif any(name in request.data.values() for request in self.sent.values()):
            self.say(f"{name}: sent; wait for the engine's word.")
        elif not self.is_over():
            return name
        return ""

    def _ask(self, asked: Words, hint: str, about: str) -> None:
        """Open the line for the words that go with a request."""
        self._words = asked
        self.say(about, "accent", for_s=3600.0)
        line = self.query_one("#words", Input)
        line.placeholder = clean_line(hint, 200)
        line.display = True
        line.focus()

    @on(Input.Submitted, "#words")
    def _worded(self, event: Input.Submitted) -> None:
        event.stop()
        asked, words = self._words, event.value.strip()
        if asked is None:
            return
        if not words:
            self.say(asked.missing, "bad", for_s=3600.0)
            return
        self.close_words()
        self.send(Request(asked.request.kind, asked.request.words, {**asked.request.data, asked.name: words}))

    def close_words(self) -> bool:
        """Take the line for words away; False if there was none."""
        line = self.query_one("#words", Input)
        was_open = bool(line.display)
        self._words, line.value, line.display = None, "", False
        if was_open:
            self.focus_back()
        return was_open
