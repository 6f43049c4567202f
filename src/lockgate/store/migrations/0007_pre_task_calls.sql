CREATE TABLE task_calls (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    task TEXT NOT NULL,
    digest TEXT NOT NULL,
    holder TEXT NOT NULL,
    answer TEXT,
    until TEXT NOT NULL
);
CREATE INDEX task_calls_until ON task_calls (until);
