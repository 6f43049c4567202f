CREATE TABLE budgets (
    account TEXT NOT NULL,
    period TEXT NOT NULL,
    nanos BIGINT NOT NULL,
    PRIMARY KEY (account, period)
);
CREATE TABLE budget_accounts (
    account TEXT NOT NULL,
    period TEXT NOT NULL,
    lent BIGINT NOT NULL,
    loan BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    PRIMARY KEY (account, period)
);
CREATE TABLE budget_leases (
    replica TEXT NOT NULL,
    account TEXT NOT NULL,
    period TEXT NOT NULL,
    nanos BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (replica, account, period)
);
CREATE INDEX budget_leases_account ON budget_leases (account, period);
CREATE TABLE spools (
    replica TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);
CREATE TABLE usage_events (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    key_id TEXT NOT NULL,
    team TEXT NOT NULL,
    task TEXT NOT NULL,
    route TEXT NOT NULL,
    model TEXT NOT NULL,
    release TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    flags TEXT NOT NULL
);
CREATE INDEX usage_events_at ON usage_events (at);
