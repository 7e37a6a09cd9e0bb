"""Is the dashboard served, and does it ask the API only for what the API has?"""

from __future__ import annotations

import re
import unittest
from pathlib import Path

from backend import api
from tests.support import ServerCase

FRONTEND = Path(__file__).resolve().parent.parent / "frontend"


class Dashboard(ServerCase):
    def test_the_page_and_its_parts_are_served(self) -> None:
        for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/styles.css", "text/css")):
            with self.subTest(path=path):
                status, content, headers = self.fetch("GET", path)
                self.assertEqual(status, 200)
                self.assertIn(kind, headers["Content-Type"])
                self.assertEqual(headers["X-Frame-Options"], "DENY")
                self.assertTrue(content)

    def test_every_address_the_script_calls_exists(self) -> None:
        script = (FRONTEND / "app.js").read_text(encoding="utf-8")
        called = re.findall(r'call\("([A-Z]+)", "(/[a-z/]+)"', script)
        known = {(method, pattern) for method, pattern, _, _ in api.ROUTES}
        self.assertTrue(called)
        for method, path in called:
            with self.subTest(path=path):
                self.assertIn((method, f"/api{path}"), known)


if __name__ == "__main__":
    unittest.main()
