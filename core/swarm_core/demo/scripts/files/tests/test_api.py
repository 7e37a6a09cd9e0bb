"""The API as a client meets it: over HTTP."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

from backend import api
from tests.support import ServerCase

TOP = Path(__file__).resolve().parent.parent
CONTRACT = TOP / "artifacts" / "api-contracts.yml"
SCHEMA = TOP / "database" / "schema.sql"


class Api(ServerCase):
    def setUp(self) -> None:
        self.token = self.log_in()

    def test_a_new_customer_appears_in_the_list(self) -> None:
        body = {"name": "Aquarium", "address": "Brühl 3"}
        status, customer = self.call("POST", "/api/customers", body, self.token)
        self.assertEqual((status, customer["status"]), (201, "active"))
        names = [c["name"] for c in self.call("GET", "/api/customers", token=self.token)[1]]
        self.assertIn("Aquarium", names)

    def test_a_customer_without_an_address_is_refused(self) -> None:
        status, answer = self.call("POST", "/api/customers", {"name": "Nowhere"}, self.token)
        self.assertEqual(status, 400)
        self.assertIn("address", answer["error"])

    @unittest.skipUnless("phone_number" in SCHEMA.read_text(encoding="utf-8"), "the schema has no phone_number yet")
    def test_a_customer_has_a_phone_number(self) -> None:
        body = {"name": "Gasometer", "address": "Richard-Lehmann-Str. 114", "phone_number": "0341 555 0198"}
        status, customer = self.call("POST", "/api/customers", body, self.token)
        self.assertEqual((status, customer["phone_number"]), (201, "0341 555 0198"))
        listed = self.call("GET", "/api/customers", token=self.token)[1]
        self.assertIn("0341 555 0198", [one["phone_number"] for one in listed])

    def test_the_contract_and_the_api_have_the_same_addresses(self) -> None:
        promised = re.findall(r"^  (/[^:]+):", CONTRACT.read_text(encoding="utf-8"), re.MULTILINE)
        served = {pattern.replace(r"(\d{1,9})", "{id}") for _, pattern, _, _ in api.ROUTES}
        self.assertEqual({f"/api{path}" for path in promised}, served)

    def test_a_name_is_data_and_never_a_command(self) -> None:
        body = {"name": "'); DROP TABLE bins; --", "address": "Little Bobby's Lane"}
        self.assertEqual(self.call("POST", "/api/customers", body, self.token)[0], 201)
        self.assertTrue(self.call("GET", "/api/bins", token=self.token)[1])

    def test_an_emptied_bin_is_empty(self) -> None:
        fullest = self.call("GET", "/api/bins", token=self.token)[1][0]
        status, after = self.call("POST", f"/api/bins/{fullest['id']}/empty", {}, self.token)
        self.assertEqual((status, after["fill_percent"]), (200, 0))

    def test_a_sensor_reports_a_level_and_only_a_level(self) -> None:
        self.assertEqual(self.call("PUT", "/api/bins/1/fill", {"fill_percent": 55}, self.token)[1]["fill_percent"], 55)
        for wrong in (101, -1, "full", None):
            with self.subTest(value=wrong):
                self.assertEqual(self.call("PUT", "/api/bins/1/fill", {"fill_percent": wrong}, self.token)[0], 400)

    def test_what_does_not_exist_is_said_to_be_missing(self) -> None:
        self.assertEqual(self.call("GET", "/api/routes/999", token=self.token)[0], 404)
        self.assertEqual(self.call("GET", "/api/trucks", token=self.token)[0], 404)
        self.assertEqual(self.call("PUT", "/api/customers", {}, self.token)[0], 405)

    def test_a_broken_body_does_not_break_the_server(self) -> None:
        status, _, _ = self.fetch("POST", "/api/auth/login", b"{not json")
        self.assertEqual(status, 400)
        self.assertEqual(self.call("GET", "/api/bins", token=self.token)[0], 200)
