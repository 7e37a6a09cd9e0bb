"""Everything the API asks of the database. Functions take an open connection and return plain dictionaries."""

from __future__ import annotations

import sqlite3

from backend import auth
from backend.optimiser import Point, best_order, length_km


class NotFound(Exception):
    """There is no such row."""


def add_user(db: sqlite3.Connection, email: str, password: str, role: str) -> int:
    with db:
        row = db.execute(
            "INSERT INTO users (email, password_hash, role) VALUES (?, ?, ?)",
            (email, auth.hash_password(password), role),
        )
    return row.lastrowid


def user_by_email(db: sqlite3.Connection, email: str) -> dict | None:
    row = db.execute("SELECT * FROM users WHERE email = ?", (email,)).fetchone()
    return dict(row) if row else None


def customers(db: sqlite3.Connection) -> list[dict]:
    """All customers with the number of their bins and the fullest of them."""
    rows = db.execute(
        "SELECT c.*, count(b.id) AS bins, coalesce(max(b.fill_percent), 0) AS fullest"
        " FROM customers c LEFT JOIN bins b ON b.customer_id = c.id GROUP BY c.id ORDER BY c.name"
    )
    return [dict(row) for row in rows]


def add_customer(db: sqlite3.Connection, values: dict) -> dict:
    """What may be given is what the table has, so a column can be given as soon as a migration has added it.

    Raises sqlite3.IntegrityError if a required field is missing or a value is not allowed.
    """
    columns = {column["name"] for column in db.execute("PRAGMA table_info(customers)")} - {"id", "created_at"}
    row = {"name": None, "address": None, **{key: values[key] for key in columns & values.keys()}}
    with db:
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        cursor = db.execute(f"INSERT INTO customers ({names}) VALUES ({places})", row)
    return one(db, "customers", cursor.lastrowid)


def bins(db: sqlite3.Connection, min_fill: int = 0) -> list[dict]:
    rows = db.execute(
        "SELECT b.*, c.name AS customer FROM bins b JOIN customers c ON c.id = b.customer_id"
        " WHERE b.fill_percent >= ? AND c.status = 'active' ORDER BY b.fill_percent DESC, b.id",
        (min_fill,),
    )
    return [dict(row) for row in rows]


def set_fill(db: sqlite3.Connection, bin_id: int, percent: int) -> dict:
    one(db, "bins", bin_id)
    with db:
        db.execute("UPDATE bins SET fill_percent = ? WHERE id = ?", (percent, bin_id))
    return one(db, "bins", bin_id)


def empty_bin(db: sqlite3.Connection, bin_id: int, user_id: int) -> dict:
    """Record who emptied the bin and how full it was."""
    before = one(db, "bins", bin_id)["fill_percent"]
    with db:
        db.execute(
            "INSERT INTO service_events (bin_id, user_id, fill_before) VALUES (?, ?, ?)", (bin_id, user_id, before)
        )
        db.execute("UPDATE bins SET fill_percent = 0 WHERE id = ?", (bin_id,))
    return one(db, "bins", bin_id)


def plan_route(db: sqlite3.Connection, name: str, depot: Point, min_fill: int) -> dict:
    """Plan the shortest tour we can find through every bin that is at least ``min_fill`` percent full."""
    full = bins(db, min_fill)
    points = [(b["latitude"], b["longitude"]) for b in full]
    order = best_order(depot, points)
    distance = length_km(depot, [points[i] for i in order])
    with db:
        route_id = db.execute("INSERT INTO routes (name, distance_km) VALUES (?, ?)", (name, distance)).lastrowid
        db.executemany(
            "INSERT INTO route_stops (route_id, position, bin_id) VALUES (?, ?, ?)",
            [(route_id, position, full[i]["id"]) for position, i in enumerate(order, start=1)],
        )
    return route(db, route_id)


def routes(db: sqlite3.Connection) -> list[dict]:
    rows = db.execute(
        "SELECT r.*, count(s.bin_id) AS stops FROM routes r LEFT JOIN route_stops s ON s.route_id = r.id"
        " GROUP BY r.id ORDER BY r.id DESC"
    )
    return [dict(row) for row in rows]


def route(db: sqlite3.Connection, route_id: int) -> dict:
    """One route with its stops in driving order."""
    stops = db.execute(
        "SELECT s.position, b.id AS bin_id, b.kind, b.latitude, b.longitude, b.fill_percent,"
        " c.name AS customer, c.address"
        " FROM route_stops s JOIN bins b ON b.id = s.bin_id JOIN customers c ON c.id = b.customer_id"
        " WHERE s.route_id = ? ORDER BY s.position",
        (route_id,),
    )
    return {**one(db, "routes", route_id), "stops": [dict(row) for row in stops]}


def one(db: sqlite3.Connection, table: str, row_id: int) -> dict:
    """The row of ``table`` with that id. Raises NotFound. ``table`` is never foreign text."""
    row = db.execute(f"SELECT * FROM {table} WHERE id = ?", (row_id,)).fetchone()
    if row is None:
        raise NotFound(f"no {table[:-1]} {row_id}")
    return dict(row)
