"""What each address does. A handler takes a Request and returns ``(status, JSON value)``; it never sees a socket."""

from __future__ import annotations

import re
import sqlite3
from typing import Any, Callable, Iterator, NamedTuple

from backend import auth, store

DEPOT = (51.3600, 12.3400)  # the yard in Leipzig-Möckern
DUMMY_HASH = auth.hash_password("nobody")


class Request(NamedTuple):
    db: sqlite3.Connection
    secret: bytes
    claims: dict
    query: dict
    body: dict


class BadRequest(Exception):
    """The request is not what the handler needs."""


Handler = Callable[..., "tuple[int, Any]"]


def login(request: Request) -> tuple[int, Any]:
    email, password = _text(request.body, "email"), _text(request.body, "password")
    user = store.user_by_email(request.db, email)
    # an unknown address costs the same time as a wrong password, so neither can be told from the other
    if not auth.is_password(password, user["password_hash"] if user else DUMMY_HASH) or user is None:
        return 401, {"error": "wrong email or password"}
    token = auth.issue_token(request.secret, user["id"], user["role"])
    return 200, {"access_token": token, "expires_in": auth.TOKEN_MINUTES * 60, "role": user["role"]}


def list_customers(request: Request) -> tuple[int, Any]:
    return 200, store.customers(request.db)


def create_customer(request: Request) -> tuple[int, Any]:
    return 201, store.add_customer(request.db, request.body)


def list_bins(request: Request) -> tuple[int, Any]:
    return 200, store.bins(request.db, _percent(request.query.get("min_fill", 0)))


def report_fill(request: Request, bin_id: int) -> tuple[int, Any]:
    return 200, store.set_fill(request.db, bin_id, _percent(request.body.get("fill_percent")))


def empty_bin(request: Request, bin_id: int) -> tuple[int, Any]:
    return 200, store.empty_bin(request.db, bin_id, request.claims["sub"])


def list_routes(request: Request) -> tuple[int, Any]:
    return 200, store.routes(request.db)


def plan_route(request: Request) -> tuple[int, Any]:
    min_fill = _percent(request.body.get("min_fill", 60))
    return 201, store.plan_route(request.db, _text(request.body, "name"), DEPOT, min_fill)


def show_route(request: Request, route_id: int) -> tuple[int, Any]:
    return 200, {**store.route(request.db, route_id), "depot": DEPOT}


EVERYBODY = None
DISPATCHER = ("dispatcher",)
ANY_ROLE = ("dispatcher", "driver")

ROUTES: list[tuple[str, str, Any, Handler]] = [
    ("POST", r"/api/auth/login", EVERYBODY, login),
    ("GET", r"/api/customers", ANY_ROLE, list_customers),
    ("POST", r"/api/customers", DISPATCHER, create_customer),
    ("GET", r"/api/bins", ANY_ROLE, list_bins),
    ("PUT", r"/api/bins/(\d{1,9})/fill", ANY_ROLE, report_fill),
    ("POST", r"/api/bins/(\d{1,9})/empty", ANY_ROLE, empty_bin),
    ("GET", r"/api/routes", ANY_ROLE, list_routes),
    ("POST", r"/api/routes", DISPATCHER, plan_route),
    ("GET", r"/api/routes/(\d{1,9})", ANY_ROLE, show_route),
]


def answer(method: str, path: str, token: str, request: Request) -> tuple[int, Any]:
    """Find the handler, check who is asking, and turn every foreseeable error into a status."""
    found = {verb: (roles, handler, match) for verb, roles, handler, match in _matches(path)}
    if not found:
        return 404, {"error": f"there is nothing at {path}"}
    if method not in found:
        return 405, {"error": f"{method} is not possible at {path}"}
    roles, handler, match = found[method]
    try:
        if roles is not EVERYBODY:
            request = request._replace(claims=auth.read_token(request.secret, token))
            if request.claims["role"] not in roles:
                return 403, {"error": "your role does not allow this"}
        return handler(request, *map(int, match.groups()))
    except auth.NotAuthenticated as error:
        return 401, {"error": str(error)}
    except store.NotFound as error:
        return 404, {"error": str(error)}
    except (BadRequest, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
        return 400, {"error": str(error)}


def _matches(path: str) -> Iterator[tuple[str, Any, Handler, re.Match]]:
    for verb, pattern, roles, handler in ROUTES:
        match = re.fullmatch(pattern, path)
        if match:
            yield verb, roles, handler, match


def _text(values: dict, key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{key} is missing")
    return value.strip()


def _percent(value: Any) -> int:
    try:
        percent = int(value)
    except (TypeError, ValueError):
        percent = -1
    if not 0 <= percent <= 100:
        raise BadRequest("a fill level is a whole number from 0 to 100")
    return percent
