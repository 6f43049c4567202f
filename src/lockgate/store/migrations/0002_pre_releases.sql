CREATE TABLE aliases (
    task TEXT NOT NULL,
    name TEXT NOT NULL,
    release TEXT NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (task, name)
);
CREATE TABLE promotions (
    seq BIGINT PRIMARY KEY,
    environment TEXT NOT NULL,
    task TEXT NOT NULL,
    release TEXT NOT NULL,
    previous TEXT,
    action TEXT NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    decision TEXT NOT NULL
);
CREATE INDEX promotions_environment ON promotions (environment, task, seq);
