"""A real server with a database of its own for each test class: on a loopback port, where one may listen."""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any

from backend import server, store
from database import migrate


class ServerCase(unittest.TestCase):
    """Starts the server before the class's first test and stops it after the last.

    In a sandbox without a network the same server gets the same bytes through a pair of sockets.
    """

    @classmethod
    def setUpClass(cls) -> None:
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.database = Path(directory.name) / "test.db"
        server.prepare(cls.database)
        db = migrate.connect(cls.database)
        store.add_user(db, "driver@ecoroute.example", "drive", "driver")
        db.close()
        try:
            cls.server = server.Server(cls.database)
        except PermissionError:
            cls.server = server.Server(cls.database, listens=False)
        cls.addClassCleanup(cls.server.server_close)
        if cls.server.server_address[1] == 0:
            return
        threading.Thread(target=cls.server.serve_forever, args=(0.02,), daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """The status and the decoded JSON."""
        status, content, _ = self.fetch(method, path, None if body is None else json.dumps(body).encode(), token)
        return status, json.loads(content)

    def fetch(self, method: str, path: str, body: bytes | None = None, token: str = "") -> tuple[int, bytes, dict]:
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read(), dict(response.headers)
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        port = self.server.server_address[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            if port:
                connection.connect()
                return connection
        except PermissionError:
            pass  # to listen is allowed, to connect is not
        connection.sock, servers_end = socket.socketpair()
        self.server.process_request(servers_end, ("sandbox", 0))
        return connection

    def log_in(self, email: str = "dispatch@ecoroute.example", password: str = "collect") -> str:
        status, answer = self.call("POST", "/api/auth/login", {"email": email, "password": password})
        self.assertEqual(status, 200, answer)
        return answer["access_token"]
