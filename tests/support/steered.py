"""A real run that steers itself: artifacts that hold, break and go stale, findings, a question, a rule that blocks.

Real engine, git, checks and measurement; only the model is a script. It stops where the landing waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from tests.support import repos
from tests.support.cli import wait_until

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

GOAL = "Customers with phone numbers, and the contract the dispatcher's page builds on"
CONFIG = """\
adapter: scripted
script: scripts
checks:
  - {name: tests, command: "python3 -B -m unittest discover -q -s tests -t ."}
services:
  lead: {directories: [design]}
  backend: {directories: [backend, tests]}
  database: {directories: [database, migrations]}
"""
REGISTRY = """\
artifact_types:
  design: {producer: lead, consumers: ALL, format: yaml, path: artifacts/design.yml}
  customer_contract: {producer: backend, consumers: [lead], format: yaml, path: artifacts/customer-contract.yml}
  tables: {producer: database, consumers: [backend], format: yaml, path: artifacts/tables.yml}
  notes: {producer: lead, consumers: ALL, format: markdown, path: artifacts/notes.md}
"""
RULES = """\
{"artifact_validation": {
  "design.yml": {"required_fields": ["services"]},
  "tables.yml": {"required_fields": ["tables"]},
  "customer-contract.yml": {"required_fields": ["Customer"], "depends_on": ["design.yml", "tables.yml"]}
}}
"""
DESIGN = "services:\n  api: {port: 8080}\n"
MORE_DESIGN = "services:\n  api: {port: 8080}\n  page: {port: 8081}\n"
TABLES = "tables:\n  customers: [id, name]\n"
CONTRACT = "Customer: {id: integer, name: string, phone_number: string}\n"
COLUMN = "ALTER TABLE customers ADD phone_number TEXT;\n"
CODE = 'def greeting(name):\n    return f"Hello {name}"\n'
BROKEN = 'def greeting(name):\n    return f"Hallo {name}"\n'
TEST = (
    "import unittest\n\nfrom backend.app import greeting\n\n\nclass Greets(unittest.TestCase):\n"
    '    def test_by_name(self):\n        self.assertEqual(greeting("Ada"), "Hello Ada")\n'
)


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def turns(task: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"when": {"task": task}, "do": [one]} for one in calls]


def write(path: str, content: str) -> dict[str, Any]:
    return call("Write", file_path=path, content=content)


def planned(key: str, title: str, service: str, *dependencies: str) -> dict[str, Any]:
    about = {"key": key, "title": title, "description": title, "assigned_to": service}
    return {**about, "dependencies": list(dependencies)}


COMMIT, DONE = call("commit", message="feat: work"), call("handoff", what_i_did="Did it")
MISSING = call(
    "finding",
    title="phone_number is not in the tables",
    severity="HIGH",
    location="database/schema.sql:1",
    issue="The contract has Customer.phone_number.\nThe table customers has no such column.",
    fix="Add migrations/002_add_phone_number.sql.",
    verification="The migration adds the column.",
)
NOBODYS = call(
    "finding",
    title="The page's colours have too little contrast",
    severity="MEDIUM",
    location="page/style.css:12",
    issue="3.1:1 where 4.5:1 is asked for [b]by WCAG[/b].",
    fix="Darken the text.",
)
RATE = call(
    "question",
    question="May a dispatcher see customers' phone numbers?",
    default="no: the number is masked",
    options=["yes", "no: the number is masked", "only on the day of the collection"],
    risk_if_wrong="Personal data is shown to people who do not need it.",
    needs_human=True,
)
TASKS = [
    planned("d", "Design the services", "lead"),
    planned("t", "Write down the tables", "database", "d"),
    planned("c", "Write the customer contract", "backend", "t"),
    planned("p", "Add the page to the design", "lead", "c"),
    planned("g", "Greet customers in German", "backend", "p"),
]
SCRIPTS = {
    "architect": [*turns("task_000", call("plan_tasks", tasks=TASKS)), *turns("task_*", call("change_plan"))],
    "lead": [
        *turns("Design*", write("artifacts/design.yml", "services: [1\n"), COMMIT),
        *turns("Design*", write("artifacts/design.yml", DESIGN), COMMIT, DONE),
        *turns("Add the page*", write("artifacts/design.yml", MORE_DESIGN), COMMIT, DONE),
        *turns("Fix*", write("artifacts/design.yml", MORE_DESIGN), COMMIT, DONE),
    ],
    "database": [
        *turns("Write down*", write("artifacts/tables.yml", TABLES), COMMIT, DONE),
        *turns("task_*", write("migrations/002_add_phone_number.sql", COLUMN)),
        *turns("task_*", COMMIT, DONE),
    ],
    "backend": [
        *turns("Write the customer*", write("artifacts/customer-contract.yml", CONTRACT), COMMIT),
        *turns("Write the customer*", MISSING, NOBODYS, RATE, DONE),
        *turns("Greet*", write("backend/app.py", BROKEN), COMMIT, DONE),
        *turns("task_*", call("Glob", pattern="migrations/*"), call("handoff", what_i_did="It is there now")),
    ],
}


def repository(root: Path) -> Path:
    """A small repository whose configuration is committed, and the scripts."""
    repos.small(root)
    files = {".agent-artifacts/registry.yml": REGISTRY, ".agent-artifacts/validation.json": RULES}
    files |= {"multi-agent.yaml": CONFIG, "backend/__init__.py": "", "tests/__init__.py": ""}
    files |= {"backend/app.py": CODE, "tests/test_app.py": TEST, "database/schema.sql": "-- customers\n"}
    files |= {f"scripts/{name}.yaml": yaml.safe_dump(script) for name, script in SCRIPTS.items()}
    for name, text in files.items():
        repos.write(root, name, text)
    repos.git(root, "add", "-A")
    repos.git(root, "commit", "-qm", "begin")
    return root


def carried_out(root: Path) -> tuple[SwarmClient, str]:
    """Run it up to the landing, every gate before approved. The engine goes on: ``stop`` ends it."""
    client = SwarmClient(root)
    client.ensure_engine()
    item = client.start_run(GOAL, {"speed": 0})
    answer = wait_until("the engine's answer", lambda: client.answer(item))
    assert answer.result == "applied", answer.reason
    decided: set[int] = set()

    def landing() -> Gate | None:
        view = client.view(answer.run)
        assert not view.is_over, f"{view.run.status}: {view.run.reason}"
        for gate in view.open_gates:
            if gate.place == "landing":
                return gate
            if gate.opened_seq not in decided:
                decided.add(gate.opened_seq)
                verdict = "reject" if gate.place == "escalation" else "approve"
                client.decide(answer.run, gate.id, verdict, "", gate.evidence)
        return None

    wait_until("the landing", landing)
    return client, answer.run


def stop(client: SwarmClient) -> None:
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)
