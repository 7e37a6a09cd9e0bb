"""What holds for every module, from the first one on."""

from __future__ import annotations

import ast
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
MODULES = sorted(path for folder in ("backend", "database", "tests") for path in (TOP / folder).rglob("*.py"))


class Conventions(unittest.TestCase):
    def test_every_module_compiles_and_says_what_it_is_for(self) -> None:
        for path in MODULES:
            with self.subTest(module=str(path.relative_to(TOP))):
                module = ast.parse(path.read_text(encoding="utf-8"))
                compile(module, str(path), "exec")  # into memory: a check leaves nothing behind
                self.assertTrue(ast.get_docstring(module))

    def test_no_line_is_wider_than_a_screen(self) -> None:
        for path in MODULES:
            with self.subTest(module=str(path.relative_to(TOP))):
                self.assertLessEqual(max(map(len, path.read_text(encoding="utf-8").splitlines()), default=0), 120)


if __name__ == "__main__":
    unittest.main()
