-- Customers, their bins, and the routes that empty them.

-- up
CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('dispatcher', 'driver'))
);

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL CHECK (length(name) > 0),
    address    TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE bins (
    id           INTEGER PRIMARY KEY,
    customer_id  INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL CHECK (kind IN ('general', 'paper', 'glass', 'organic')),
    latitude     REAL NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude    REAL NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    fill_percent INTEGER NOT NULL DEFAULT 0 CHECK (fill_percent BETWEEN 0 AND 100)
);
CREATE INDEX idx_bins_fill ON bins (fill_percent);

CREATE TABLE routes (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    distance_km REAL NOT NULL,
    created_at  TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE route_stops (
    route_id INTEGER NOT NULL REFERENCES routes (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    bin_id   INTEGER NOT NULL REFERENCES bins (id),
    PRIMARY KEY (route_id, position)
);

-- down
DROP TABLE route_stops;
DROP TABLE routes;
DROP TABLE bins;
DROP TABLE customers;
DROP TABLE users;
