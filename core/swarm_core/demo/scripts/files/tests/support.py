"""A real server on a loopback port with a database of its own, for each test class."""

from __future__ import annotations

import json
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from backend import server, store
from database import migrate


class ServerCase(unittest.TestCase):
    """Starts the server before the class's first test and stops it after the last."""

    @classmethod
    def setUpClass(cls) -> None:
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.database = Path(directory.name) / "test.db"
        server.prepare(cls.database)
        db = migrate.connect(cls.database)
        store.add_user(db, "driver@ecoroute.example", "drive", "driver")
        db.close()
        cls.server = server.Server(cls.database)
        cls.addClassCleanup(cls.server.server_close)
        threading.Thread(target=cls.server.serve_forever, args=(0.02,), daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """The status and the decoded JSON."""
        status, content, _ = self.fetch(method, path, None if body is None else json.dumps(body).encode(), token)
        return status, json.loads(content)

    def fetch(self, method: str, path: str, body: bytes | None = None, token: str = "") -> tuple[int, bytes, dict]:
        url = f"http://127.0.0.1:{self.server.server_port}{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        try:
            with OPENER.open(request, timeout=10) as response:
                return response.status, response.read(), dict(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def log_in(self, email: str = "dispatch@ecoroute.example", password: str = "collect") -> str:
        status, answer = self.call("POST", "/api/auth/login", {"email": email, "password": password})
        self.assertEqual(status, 200, answer)
        return answer["access_token"]


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
