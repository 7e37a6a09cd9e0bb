"""A secret is found in every spelling it takes on its way, and what is none is left alone."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.vocabulary.secrets import BLOT, NO_SECRETS, Secrets, assignments, is_secret

VALUE = 'hunter2/"quoted"+pass word'
KNOWN = Secrets([VALUE])


@pytest.mark.parametrize(
    "spelled",
    [
        VALUE,
        f"before {VALUE} after {VALUE}",
        quote(VALUE, safe=""),
        json.dumps({"v": VALUE}),
        VALUE.encode().hex(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(b"x" + VALUE.encode()).decode(),
        base64.b64encode(b"xy" + VALUE.encode() + b"z").decode(),
        base64.urlsafe_b64encode(b"user:" + VALUE.encode()).decode(),
    ],
)
def test_a_known_value_is_found_in_its_spellings(spelled: str) -> None:
    blotted = KNOWN.redact(spelled)
    assert BLOT in blotted
    assert "hunter2" not in blotted
    assert KNOWN.redact(blotted) == blotted


@given(st.text(min_size=8, max_size=40), st.binary(max_size=8), st.binary(max_size=8))
def test_no_alignment_of_base64_hides_a_value(value: str, before: bytes, after: bytes) -> None:
    text = base64.b64encode(before + value.encode() + after).decode()
    assert BLOT in Secrets([value]).redact(text)


@pytest.mark.parametrize(
    "token",
    [
        "sk-ant-" + "a1B2" * 8,
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 12,
        "glpat-" + "a1B2" * 5,
        "xoxb-" + "1234567890-" * 2 + "abcdef",
        "AKIA" + "ABCD1234" * 2,
        "AIza" + "a1B2c" * 7,
        "npm_" + "a1B2" * 9,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_what_gives_itself_away_is_blotted_out(token: str) -> None:
    assert NO_SECRETS.redact(f"a {token} b") == f"a {BLOT} b"
    assert NO_SECRETS.redact_known(token) == token


def test_a_password_in_an_address_goes_and_the_address_stays() -> None:
    assert NO_SECRETS.redact("postgres://ada:s3cret@db/x") == f"postgres://{BLOT}@db/x"
    assert NO_SECRETS.redact("https://example.org:8080/a@b") == "https://example.org:8080/a@b"


@pytest.mark.parametrize(
    "text",
    [
        "def tokenize(key): return key",
        "AKIA is a prefix",
        "sk-learn and task-ant-hill",
        "sha256:" + "0123456789abcdef" * 4,
        "0123456789abcdef" * 2 + "01234567",
        "https://example.org/path?x=1",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtGcWB2gCgXhk3",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Secrets(["another secret"]).redact(text) is text


@pytest.mark.parametrize(
    ("name", "value", "is_one"),
    [
        ("ANTHROPIC_API_KEY", "sk-ant-xyz123", True),
        ("GITHUB_TOKEN", "abcdefgh1234", True),
        ("DB_PASSWORD", "correct horse", True),
        ("DATABASE_URL", "postgres://a:b@c/d", True),
        ("SMTP_PASS", "9876abcd", True),
        ("SESSION_SECRET", "0f0f0f0e", True),
        ("APIKEY", "0a1b2c3d4e", True),
        ("PATH", "/usr/bin:/bin", False),
        ("PWD", "/home/ada/project", False),
        ("GIT_AUTHOR_NAME", "Ada Lovelace", False),
        ("KEYBOARD_LAYOUT", "dvorak-intl", False),
        ("SSH_AUTH_SOCK", "/run/user/1000/agent", False),
        ("GOOGLE_CREDENTIALS_FILE", "credentials.json", False),
        ("API_KEY", "changeme-please", False),
        ("API_KEY", "${API_KEY_FROM_VAULT}", False),
        ("API_KEY", "your-key-here", False),
        ("API_KEY", "xxxxxxxxxxxx", False),
        ("API_KEY", "short", False),
        ("PUBLIC_KEY", "abcdefgh1234", False),
    ],
)
def test_a_telling_name_makes_a_value_a_secret(name: str, value: str, is_one: bool) -> None:
    assert is_secret(name, value) is is_one


def test_files_of_variables_are_read_as_people_write_them() -> None:
    text = "# comment\nexport A=1\nB = two # note\nC='three # kept'\nD=\"four\" # note\n\n=x\nbad name=1\nE=a=b\n"
    assert assignments(text) == [("A", "1"), ("B", "two"), ("C", "three # kept"), ("D", "four"), ("E", "a=b")]


def test_data_is_redacted_wherever_it_lies_and_is_the_same_if_there_is_nothing() -> None:
    data = {"a": ["x", {"b": f"<{VALUE}>"}], VALUE: 1, "n": 2.5, "t": ("y",)}
    assert KNOWN.redact_data(data) == {"a": ["x", {"b": f"<{BLOT}>"}], BLOT: 1, "n": 2.5, "t": ("y",)}
    plain = {"a": ["x", {"b": "y"}], "n": None}
    assert KNOWN.redact_data(plain) is plain


def test_the_line_of_a_new_secret_is_told_and_an_old_one_is_not_held_against_a_change() -> None:
    old = f"one\npassword = {VALUE}\n".encode()
    assert KNOWN.line_of(old) == 2
    assert KNOWN.line_of(old + b"three\n", before=old) == 0
    assert KNOWN.line_of(b"nothing") == 0
    assert KNOWN.line_of(b"\xff\xfe" + VALUE.encode()) == 1
    assert KNOWN.redact_bytes(b"\xff" + VALUE.encode() + b"\xfe") == b"\xff" + BLOT.encode() + b"\xfe"


def test_short_values_are_not_looked_for() -> None:
    assert Secrets(["abc", "1234567"]).redact("abc 1234567") == "abc 1234567"
