"""Passwords and tokens.

A token is ``payload.signature``: base64url JSON with the user's id, role and expiry, and its HMAC-SHA256
under a secret that is made when the server starts. Nothing is stored, so a restart logs everybody out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time

TOKEN_MINUTES = 60
PBKDF2_ROUNDS = 120_000


class NotAuthenticated(Exception):
    """The token is missing, forged or expired."""


def hash_password(password: str, salt: bytes | None = None) -> str:
    """``salt$digest`` in hexadecimal, slow on purpose."""
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, PBKDF2_ROUNDS)
    return f"{salt.hex()}${digest.hex()}"


def is_password(password: str, stored: str) -> bool:
    """Whether ``password`` is the one behind ``stored``, compared in constant time."""
    salt, _, _ = stored.partition("$")
    return hmac.compare_digest(hash_password(password, bytes.fromhex(salt)), stored)


def issue_token(secret: bytes, user_id: int, role: str, now: float | None = None) -> str:
    """A token that is good for ``TOKEN_MINUTES``."""
    expires = int((time.time() if now is None else now) + TOKEN_MINUTES * 60)
    payload = _encode(json.dumps({"sub": user_id, "role": role, "exp": expires}).encode())
    return f"{payload}.{_sign(secret, payload)}"


def read_token(secret: bytes, token: str, now: float | None = None) -> dict:
    """The claims of a genuine, unexpired token. Raises NotAuthenticated otherwise."""
    payload, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _sign(secret, payload).encode()):
        raise NotAuthenticated("the token is not genuine")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if (time.time() if now is None else now) >= claims["exp"]:
        raise NotAuthenticated("the token has expired")
    return claims


def _sign(secret: bytes, payload: str) -> str:
    return _encode(hmac.new(secret, payload.encode(), hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
