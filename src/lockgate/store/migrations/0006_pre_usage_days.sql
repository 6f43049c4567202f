CREATE TABLE usage_days (
    day TEXT NOT NULL,
    key_id TEXT NOT NULL,
    team TEXT NOT NULL,
    task TEXT NOT NULL,
    route TEXT NOT NULL,
    model TEXT NOT NULL,
    release TEXT NOT NULL,
    flags TEXT NOT NULL,
    calls BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    PRIMARY KEY (day, key_id, team, task, route, model, release, flags)
);
