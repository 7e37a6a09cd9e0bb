"""What a repository brings and wants to run: only as the operator saw it.

MCP servers of ``.mcp.json``, commands inside skills, and whatever else comes with a repository and runs by itself need
a gate before their first run. The answer is bound to the content: what changed is asked about again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from .permission import MAX_ASKED_CHARS, Asker, Question

# (kind, name, SHA-256 of the content) -> whether the operator trusted exactly this before
Known = Callable[[str, str, str], bool]


class Trust:
    """The operator's trust in what a repository brings. ``known`` is what was said before."""

    def __init__(self, asker: Asker, known: Known, directory: str = "") -> None:
        self._asker, self._known, self._directory = asker, known, directory

    async def allowed(self, kind: str, name: str, content: str | bytes) -> bool:
        """Whether this may run; waits for the operator the first time and whenever the content is another.

        ``kind`` is what it is (``mcp_server``, ``skill_command``), ``name`` which one, ``content`` everything that
        decides what runs: it is what the operator is shown. Content too large to be shown is not allowed.
        """
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        sha256 = hashlib.sha256(data).hexdigest()
        if self._known(kind, name, sha256):
            return True
        shown = data.decode("utf-8", "replace")
        if len(shown) + len(name) > MAX_ASKED_CHARS:
            return False
        key = hashlib.sha256(f"{len(kind)}:{kind}{len(name)}:{name}{sha256}".encode("utf-8", "replace")).hexdigest()[
            :16
        ]
        question = Question(
            f"trust-{key}",
            f"{kind} {name}",
            shown,
            rule="what a repository brings runs only with your leave",
            directory=self._directory,
            sha256=sha256,
        )
        return (await self._asker.ask(question)).is_yes
