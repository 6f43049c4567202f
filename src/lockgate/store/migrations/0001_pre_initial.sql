CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX audit_id ON audit (id);
CREATE INDEX audit_subject ON audit (subject, seq);
CREATE TABLE audit_head (
    name TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    digest TEXT NOT NULL
);
CREATE TABLE payloads (
    digest TEXT PRIMARY KEY,
    data BYTEA NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX payloads_expires_at ON payloads (expires_at);
