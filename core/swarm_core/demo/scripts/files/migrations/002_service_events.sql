-- Who emptied which bin, and how full it was: the basis of every later forecast.

-- up
CREATE TABLE service_events (
    id          INTEGER PRIMARY KEY,
    bin_id      INTEGER NOT NULL REFERENCES bins (id) ON DELETE CASCADE,
    user_id     INTEGER NOT NULL REFERENCES users (id),
    fill_before INTEGER NOT NULL,
    emptied_at  TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX idx_service_events_bin ON service_events (bin_id, emptied_at);

-- down
DROP TABLE service_events;
