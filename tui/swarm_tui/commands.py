"""Everything the operator can do, once: bindings, footer, help, palette and ``docs/keys.md`` all come from here.

``python -m swarm_tui.commands`` prints the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.binding import Binding, BindingType

SCOPES = {
    "room": "In the room",
    "run": "In the room: the run and its tasks, and other runs",
    "runs": "In the list of runs",
    "gate": "At a gate",
    "evidence": "In the evidence: artifacts, findings, questions, decisions",
    "diff": "In a document",
    "list": "In every list, log and diff",
    "global": "Everywhere",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do. ``keys`` are Textual key names, the first is shown; ``label`` is the footer's word, if any."""

    id: str
    scope: str
    keys: tuple[str, ...]
    title: str
    help: str
    label: str = ""

    @property
    def shown_key(self) -> str:
        return show_key(self.keys[0])


def show_key(key: str) -> str:
    names = {
        "question_mark": "?",
        "left_square_bracket": "[",
        "right_square_bracket": "]",
        "at": "@",
        "pagedown": "PgDn",
        "pageup": "PgUp",
        "escape": "Esc",
        "enter": "Enter",
        "tab": "Tab",
        "up": "↑",
        "down": "↓",
        "left": "←",
        "right": "→",
        "home": "Home",
        "end": "End",
        "f1": "F1",
    }
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    return names.get(key, key)


COMMANDS = (
    # lists, logs and diffs
    Command("line_down", "list", ("j", "down"), "Down", "One line down"),
    Command("line_up", "list", ("k", "up"), "Up", "One line up; a log stops following"),
    Command("half_down", "list", ("ctrl+d", "pagedown"), "Half a page down", "Half a page down"),
    Command("half_up", "list", ("ctrl+u", "pageup"), "Half a page up", "Half a page up"),
    Command("to_top", "list", ("g", "home"), "To the top", "The first line"),
    Command("to_end", "list", ("G", "end"), "To the end", "The last line; a log follows again"),
    # the room
    Command("open", "room", ("enter",), "Open", "Open the gate or the task's document under the cursor", "open"),
    Command("focus_gates", "room", ("w",), "Gates", "Go to the gates that wait"),
    Command("focus_board", "room", ("b",), "Task board", "Go to the task board", "board"),
    Command("next_pane", "room", ("right_square_bracket",), "Next agent", "Go to the next agent's pane"),
    Command("previous_pane", "room", ("left_square_bracket",), "Previous agent", "Go to the previous agent's pane"),
    Command("zoom", "room", ("z",), "Zoom", "One agent's pane fills the room, or all come back", "zoom"),
    Command("diff", "room", ("d",), "Diff", "The latest document of the task or agent under the cursor", "diff"),
    Command("activity", "room", ("at",), "Activity", "Everything that happened, as lines", "log"),
    # the run and its tasks
    Command("pause_run", "run", ("p",), "Pause", "Every agent stops at its next step; nothing is lost", "pause"),
    Command("drain_run", "run", ("P",), "Drain", "Agents finish their tasks, nothing new begins"),
    Command("resume_run", "run", ("r",), "Resume", "A run that is paused, drained or halted goes on", "resume"),
    Command("halt_run", "run", ("H",), "Halt", "Every agent stops at its next step, as an incident that you close"),
    Command("stop_everything", "run", ("X",), "Emergency stop", "Every agent of every run is gone at once; asks first"),
    Command("abort_run", "run", ("A",), "Abort", "End the run for good, its work stays unlanded; asks first"),
    Command("roll_back", "run", ("R",), "Roll back", "Back to the passed gate under the gates' cursor; asks first"),
    Command("hold_task", "run", ("h",), "Hold task", "Hold the task under the cursor, or free it"),
    Command("drop_task", "run", ("D",), "Drop task", "Drop the task under the cursor and what needs it; asks first"),
    Command("hold_service", "run", ("S",), "Hold service", "Hold the service under the cursor, or free it"),
    Command("hand_in", "run", ("i",), "Hand in", "Hand in a task that is yours, with a word on what you did"),
    Command("give_back", "run", ("I",), "Give back", "Give a task that is yours back, with a word on why"),
    Command("restart_engine", "run", ("E",), "Start the engine", "Start it if it is gone; a silent one is ended first"),
    Command("runs", "run", ("s",), "Runs", "The runs of this repository; Enter goes to another one", "runs"),
    Command("confirm", "run", ("y",), "Yes", "Do what was just asked about"),
    # the list of runs
    Command("open_run", "runs", ("enter",), "Open run", "Go to the run under the cursor; what is left goes on", "open"),
    # a gate
    Command("approve", "gate", ("a",), "Approve", "Say yes to what is shown", "approve"),
    Command("approve_session", "gate", ("s",), "For this run", "At a permission gate: grant its rule for this run"),
    Command("approve_always", "gate", ("A",), "Always", "At a permission gate: grant its rule, or trust it, for good"),
    Command("changes", "gate", ("c",), "Request changes", "Send it back with what shall change", "changes"),
    Command("reject", "gate", ("x",), "Reject", "Say no, with a comment the agent works from", "reject"),
    Command("force", "gate", ("f",), "Force", "Pass it with what failed, for the record; you type the gate's id"),
    Command("later", "gate", ("l",), "Later", "Put it off for a while, or until a task or gate is over", "later"),
    Command("measure", "gate", ("m",), "Measure again", "Have the evidence prepared anew; nothing is decided"),
    Command("to_diff", "gate", ("d",), "Diff", "To the first file of the diff"),
    Command("to_evidence", "gate", ("e",), "Evidence", "To the beginning: what was measured and said"),
    Command("next_gate", "gate", ("n",), "Next gate", "Open the next gate that waits for you", "gate"),
    Command("back", "gate", ("escape",), "Back", "Back to the room; nothing is decided", "back"),
    # what steers the swarm
    Command("open_row", "evidence", ("enter",), "Open", "All of what is under the cursor, with its history", "open"),
    Command("next_section", "evidence", ("right", "l"), "Next section", "Go to the next section", "sections"),
    Command("previous_section", "evidence", ("left", "h"), "Previous section", "Go to the previous section"),
    Command("answer", "evidence", ("a",), "Answer", "Answer the question under the cursor", "answer"),
    Command("close_finding", "evidence", ("c",), "Close", "Accept a finding as it is, with a word on why", "close"),
    Command("waive", "evidence", ("w",), "Waive", "Take what a rule blocks on upon you, with a word on why", "waive"),
    Command("back", "evidence", ("escape",), "Back", "Back to the list, then to where you came from", "back"),
    # a document
    Command("next_file", "diff", ("right_square_bracket",), "Next file", "Jump to the next file of the diff", "files"),
    Command("previous_file", "diff", ("left_square_bracket",), "Previous file", "Jump to the previous file"),
    # everywhere
    Command("next_gate", "global", ("n",), "Next gate", "Open the next gate that waits for you", "gate"),
    Command("help", "global", ("question_mark", "f1"), "Help", "The keys, those that apply here first", "help"),
    Command("command_palette", "global", ("ctrl+p",), "Commands", "Find a command by name"),
    Command("toggle_theme", "global", ("t",), "Theme", "Dark or light"),
    Command("save_screenshot", "global", ("ctrl+s",), "Picture", "Save the screen as an SVG file"),
    Command("leave", "global", ("q", "ctrl+q"), "Leave", "Close the room; the swarm goes on without it", "leave"),
    Command("evidence", "global", ("v",), "Evidence", "Artifacts, findings, questions, decisions, or back", "evidence"),
)


def of(scope: str) -> Iterator[Command]:
    return (command for command in COMMANDS if command.scope == scope)


def bindings(*scopes: str) -> list[BindingType]:
    """Textual bindings for the commands of ``scopes``; the action's name is the command's."""
    return [
        Binding(",".join(command.keys), command.id, command.title, id=f"{command.scope}.{command.id}", show=False)
        for scope in scopes
        for command in of(scope)
    ]


def documentation() -> str:
    """``docs/keys.md``."""
    out = ["# Keys", "", "Made from the program's registry of commands (`python -m swarm_tui.commands`).", ""]
    out += [
        "Digits `1` to `9` go to an agent's pane, in the evidence to a section; `Tab` goes on to the next place.",
        "",
    ]
    for scope, title in SCOPES.items():
        out += [f"## {title}", "", "| key | command | what it does |", "|---|---|---|"]
        for command in of(scope):
            keys = ", ".join(f"`{show_key(key)}`" for key in command.keys)
            out.append(f"| {keys} | {command.title} | {command.help} |")
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    import sys

    sys.stdout.write(documentation())
