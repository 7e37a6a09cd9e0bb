"""Data to look at: eight customers in Leipzig with their bins. Loaded once, into an empty database."""

from __future__ import annotations

import sqlite3

# name, street, then one (kind, latitude, longitude, fill in percent) for each bin
CUSTOMERS = (
    ("Bakery Sonnenkorn", "Karl-Heine-Str. 47", ("organic", 51.3328, 12.3325, 92)),
    (
        "Hotel am Ring",
        "Goerdelerring 5",
        ("general", 51.3423, 12.3692, 78),
        ("glass", 51.3425, 12.3697, 35),
    ),
    ("Café Riquet", "Schuhmachergässchen 1", ("glass", 51.3405, 12.3783, 88)),
    ("Print Shop Plagwitz", "Weissenfelser Str. 65", ("paper", 51.3297, 12.3361, 97)),
    (
        "Zoo Leipzig",
        "Pfaffendorfer Str. 29",
        ("organic", 51.3485, 12.3707, 71),
        ("general", 51.3491, 12.3719, 64),
    ),
    ("Clinic St. Georg", "Delitzscher Str. 141", ("general", 51.3757, 12.3903, 83)),
    ("Market Hall South", "Karl-Liebknecht-Str. 62", ("organic", 51.3226, 12.3737, 90)),
    ("Library Albertina", "Beethovenstr. 6", ("paper", 51.3325, 12.3683, 22)),
)


def load(connection: sqlite3.Connection) -> int:
    """Insert the customers and bins unless there are customers already; returns how many bins there are now."""
    with connection:
        if connection.execute("SELECT count(*) FROM customers").fetchone()[0] == 0:
            for name, address, *bins in CUSTOMERS:
                row = connection.execute("INSERT INTO customers (name, address) VALUES (?, ?)", (name, address))
                connection.executemany(
                    "INSERT INTO bins (customer_id, kind, latitude, longitude, fill_percent) VALUES (?, ?, ?, ?, ?)",
                    [(row.lastrowid, *bin_) for bin_ in bins],
                )
    return connection.execute("SELECT count(*) FROM bins").fetchone()[0]
