CREATE TABLE shared_state (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
);
