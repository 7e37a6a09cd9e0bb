"""Who gets in, for how long, and who does not."""

from __future__ import annotations

import unittest

from backend import auth
from tests.support import ServerCase

SECRET = b"a secret for tests"


class Tokens(unittest.TestCase):
    def test_a_token_lives_as_long_as_promised_and_no_longer(self) -> None:
        token = auth.issue_token(SECRET, 7, "driver", now=1_000)
        end = 1_000 + auth.TOKEN_MINUTES * 60
        self.assertEqual(auth.read_token(SECRET, token, now=end - 1)["sub"], 7)
        with self.assertRaisesRegex(auth.NotAuthenticated, "expired"):
            auth.read_token(SECRET, token, now=end)

    def test_a_token_of_another_secret_is_refused(self) -> None:
        with self.assertRaisesRegex(auth.NotAuthenticated, "genuine"):
            auth.read_token(SECRET, auth.issue_token(b"another", 7, "dispatcher"))

    def test_no_byte_of_a_token_can_be_changed(self) -> None:
        token = auth.issue_token(SECRET, 7, "driver")
        for place in range(0, len(token) - 1, 5):
            forged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            with self.subTest(place=place), self.assertRaises(auth.NotAuthenticated):
                auth.read_token(SECRET, forged)

    def test_the_same_password_never_looks_the_same(self) -> None:
        first, second = auth.hash_password("collect"), auth.hash_password("collect")
        self.assertNotEqual(first, second)
        self.assertTrue(auth.is_password("collect", second))
        self.assertFalse(auth.is_password("Collect", second))


class Login(ServerCase):
    def test_a_dispatcher_logs_in(self) -> None:
        body = {"email": "dispatch@ecoroute.example", "password": "collect"}
        status, answer = self.call("POST", "/api/auth/login", body)
        self.assertEqual((status, answer["role"], answer["expires_in"]), (200, "dispatcher", auth.TOKEN_MINUTES * 60))

    def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(self) -> None:
        wrong = self.call("POST", "/api/auth/login", {"email": "dispatch@ecoroute.example", "password": "guess"})
        unknown = self.call("POST", "/api/auth/login", {"email": "nobody@ecoroute.example", "password": "guess"})
        self.assertEqual(wrong, unknown)
        self.assertEqual(wrong[0], 401)

    def test_nothing_is_shown_without_a_token(self) -> None:
        for path in ("/api/customers", "/api/bins", "/api/routes", "/api/routes/1"):
            with self.subTest(path=path):
                self.assertEqual(self.call("GET", path)[0], 401)

    def test_a_driver_sees_routes_but_does_not_plan_them(self) -> None:
        token = self.log_in("driver@ecoroute.example", "drive")
        self.assertEqual(self.call("GET", "/api/routes", token=token)[0], 200)
        self.assertEqual(self.call("POST", "/api/routes", {"name": "mine"}, token)[0], 403)


if __name__ == "__main__":
    unittest.main()
