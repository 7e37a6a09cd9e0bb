"""Runs the tests and writes what came of each, as JUnit XML: `python3 -B run_tests.py [REPORT]`."""

from __future__ import annotations

import sys
import unittest
from typing import Any
from xml.etree import ElementTree


class Recorded(unittest.TextTestResult):
    """Keeps how each test ended, besides telling it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.suite = ElementTree.Element("testsuite", name="EcoRoute")

    def _keep(self, test: Any, kind: str = "", message: str = "") -> None:
        inside, _, name = test.id().rpartition(".")
        case = ElementTree.SubElement(self.suite, "testcase", classname=inside, name=name)
        if kind:
            ElementTree.SubElement(case, kind, message=message)

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._keep(test)

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._keep(test, "skipped", reason)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._keep(test, "failure", str(err[1]))

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._keep(test, "error", repr(err[1]))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._keep(test, "failure", f"{subtest}: {err[1]}")


def main() -> int:
    tests = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
    result = unittest.TextTestRunner(resultclass=Recorded).run(tests)
    if sys.argv[1:]:
        ElementTree.ElementTree(result.suite).write(sys.argv[1], encoding="utf-8", xml_declaration=True)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
