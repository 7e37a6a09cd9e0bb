"""The HTTP server: JSON below ``/api``, the dashboard's three files everywhere else.

Run it with ``python3 -m backend.server --db ecoroute.db --port 8080``.
"""

from __future__ import annotations

import argparse
import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from backend import api, store
from database import migrate, seed

FRONTEND = Path(__file__).resolve().parent.parent / "frontend"
PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/styles.css": ("styles.css", "text/css; charset=utf-8"),
}
MAX_BODY_BYTES = 64 * 1024


class Server(ThreadingHTTPServer):
    """Listens on loopback unless told not to; every request opens its own connection to the database."""

    daemon_threads = True

    def __init__(self, database: str | Path, port: int = 0, listens: bool = True) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=listens)
        self.database = database
        self.secret = secrets.token_bytes(32)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path in PAGES and (FRONTEND / PAGES[path][0]).is_file():
            name, media_type = PAGES[path]
            self._send(200, media_type, (FRONTEND / name).read_bytes())
        else:
            self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        size = self.headers.get("Content-Length") or "0"
        length = int(size) if size.isdecimal() else MAX_BODY_BYTES + 1
        if length > MAX_BODY_BYTES:
            self._send_json(413, {"error": "the request is too large"})
            return
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._send_json(400, {"error": "the body is not a JSON object"})
            return
        address = urlsplit(self.path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        db = migrate.connect(self.server.database)
        try:
            request = api.Request(db, self.server.secret, {}, dict(parse_qsl(address.query)), body)
            self._send_json(*api.answer(method, address.path, token, request))
        finally:
            db.close()

    def _send_json(self, status: int, value: object) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, media_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the access log belongs to the proxy in front."""


def prepare(database: str | Path) -> None:
    """Migrate, load the first customers, and make sure that a dispatcher can log in."""
    db = migrate.connect(database)
    migrate.up(db)
    seed.load(db)
    if store.user_by_email(db, "dispatch@ecoroute.example") is None:
        store.add_user(db, "dispatch@ecoroute.example", "collect", "dispatcher")
    db.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="backend.server", description="Serve the EcoRoute API and dashboard.")
    parser.add_argument("--db", default="ecoroute.db")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    prepare(options.db)
    with Server(options.db, options.port) as server:
        print(f"EcoRoute listens on http://127.0.0.1:{server.server_port}", flush=True)
        print("log in as dispatch@ecoroute.example with the password collect", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
