-- Portable SQL for SQLite 3.35+ and PostgreSQL 14+.
-- Times are RFC 3339 text in UTC with microseconds, JSON is canonical text, ids come from Python.
-- A parameter that may be NULL is written CAST(:x AS TEXT).

-- name: schema_versions
SELECT name FROM schema_version;

-- name: add_schema_version
INSERT INTO schema_version (name) VALUES (:name);

-- name: head
SELECT seq, digest FROM audit_head WHERE name = 'audit';

-- name: put_head
INSERT INTO audit_head (name, seq, digest) VALUES ('audit', :seq, :digest)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, digest = excluded.digest;

-- name: append_event
INSERT INTO audit (seq, id, at, action, subject, body)
VALUES (:seq, :id, :at, :action, :subject, :body);

-- name: event
SELECT seq, id, at, action, subject, body FROM audit WHERE id = :id ORDER BY seq DESC LIMIT 1;

-- name: events
SELECT seq, id, at, action, subject, body FROM audit WHERE seq > :after ORDER BY seq LIMIT :most;

-- name: recent
SELECT seq, id, at, action, subject, body FROM audit
 WHERE seq < :before AND (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
 ORDER BY seq DESC LIMIT :most;

-- name: put_payload
INSERT INTO payloads (digest, data, expires_at) VALUES (:digest, :data, :expires_at)
ON CONFLICT (digest) DO UPDATE
   SET expires_at = CASE WHEN excluded.expires_at > payloads.expires_at
                         THEN excluded.expires_at ELSE payloads.expires_at END;

-- name: payload
SELECT data FROM payloads WHERE digest = :digest;

-- name: drop_expired
DELETE FROM payloads
 WHERE digest IN (SELECT digest FROM payloads WHERE expires_at < :now ORDER BY expires_at LIMIT :most)
RETURNING digest;

-- name: put_alias
INSERT INTO aliases (task, name, release, at, actor)
VALUES (:task, :alias, :release, :at, :actor)
ON CONFLICT (task, name) DO UPDATE
   SET release = excluded.release, at = excluded.at, actor = excluded.actor;

-- name: drop_alias
DELETE FROM aliases WHERE task = :task AND name = :alias RETURNING name;

-- name: aliases
SELECT task, name, release, at, actor FROM aliases
 WHERE (CAST(:task AS TEXT) IS NULL OR task = :task)
 ORDER BY task, name;

-- name: last_promotion
SELECT COALESCE(MAX(seq), 0) AS seq FROM promotions;

-- name: add_promotion
INSERT INTO promotions
       (seq, environment, task, release, previous, action, at, actor, reason, decision)
VALUES (:seq, :environment, :task, :release, CAST(:previous AS TEXT), :action, :at, :actor,
        :reason, :decision);

-- name: promotions
SELECT environment, task, release, previous, action, at, actor, reason, decision FROM promotions
 WHERE (CAST(:environment AS TEXT) IS NULL OR environment = :environment)
   AND (CAST(:task AS TEXT) IS NULL OR task = :task)
 ORDER BY seq DESC LIMIT :most;

-- name: shared_state
SELECT body FROM shared_state WHERE name = :name;

-- name: put_shared_state
INSERT INTO shared_state (name, body) VALUES (:name, :body)
ON CONFLICT (name) DO UPDATE SET body = excluded.body;

-- name: counter
SELECT value FROM change_counters WHERE name = :name;

-- name: bump_counter
INSERT INTO change_counters (name, value) VALUES (:name, 1)
ON CONFLICT (name) DO UPDATE SET value = change_counters.value + 1;

-- name: add_key
INSERT INTO gateway_keys (id, team, roles, scopes, created_at, created_by, expires_at)
VALUES (:id, :team, :roles, :scopes, :created_at, :created_by, CAST(:expires_at AS TEXT))
ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: revoke_key
UPDATE gateway_keys SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL RETURNING id;

-- name: keys
SELECT id, team, roles, scopes, created_at, created_by, expires_at, revoked_at
  FROM gateway_keys ORDER BY id;

-- name: add_secret
INSERT INTO gateway_secrets (digest, key_id, created_at, expires_at)
VALUES (:digest, :key_id, :created_at, CAST(:expires_at AS TEXT));

-- name: expire_secrets
UPDATE gateway_secrets SET expires_at = :at
 WHERE key_id = :key_id AND (expires_at IS NULL OR expires_at > :at);

-- name: drop_secrets
DELETE FROM gateway_secrets WHERE expires_at < :before;

-- name: secrets
SELECT digest, key_id, created_at, expires_at FROM gateway_secrets ORDER BY created_at, digest;

-- name: put_budget
INSERT INTO budgets (account, period, nanos) VALUES (:account, :period, :nanos)
ON CONFLICT (account, period) DO UPDATE SET nanos = excluded.nanos;

-- name: drop_budget
DELETE FROM budgets WHERE account = :account AND period = :period RETURNING account;

-- name: budgets
SELECT account, period, nanos FROM budgets ORDER BY account, period;

-- name: open_account
INSERT INTO budget_accounts (account, period, lent, loan, settled)
VALUES (:account, :period, 0, 0, 0)
ON CONFLICT (account, period) DO NOTHING;

-- The whole loan is one conditional update, so that two replicas can never both get the last of it.
-- name: lend
UPDATE budget_accounts
   SET loan = CASE WHEN (CAST(:most AS BIGINT) - lent) / 8 >= CAST(:ask AS BIGINT)
                   THEN (CAST(:most AS BIGINT) - lent) / 8
                   WHEN CAST(:most AS BIGINT) - lent >= CAST(:ask AS BIGINT)
                   THEN CAST(:ask AS BIGINT)
                   ELSE CAST(:most AS BIGINT) - lent END,
       lent = CASE WHEN (CAST(:most AS BIGINT) - lent) / 8 >= CAST(:ask AS BIGINT)
                   THEN lent + (CAST(:most AS BIGINT) - lent) / 8
                   WHEN CAST(:most AS BIGINT) - lent >= CAST(:ask AS BIGINT)
                   THEN lent + CAST(:ask AS BIGINT)
                   ELSE CAST(:most AS BIGINT) END
 WHERE account = :account AND period = :period
   AND CAST(:most AS BIGINT) - lent >= CAST(:need AS BIGINT)
   AND CAST(:most AS BIGINT) > lent
RETURNING loan, lent;

-- name: account
SELECT lent, settled FROM budget_accounts WHERE account = :account AND period = :period;

-- name: add_to_lease
INSERT INTO budget_leases (replica, account, period, nanos, spent, expires_at)
VALUES (:replica, :account, :period, :nanos, 0, :expires_at)
ON CONFLICT (replica, account, period) DO UPDATE
   SET nanos = budget_leases.nanos + excluded.nanos, expires_at = excluded.expires_at;

-- name: spend_lease
INSERT INTO budget_leases (replica, account, period, nanos, spent, expires_at)
VALUES (:replica, :account, :period, 0, :nanos, :expires_at)
ON CONFLICT (replica, account, period) DO UPDATE
   SET spent = budget_leases.spent + excluded.spent;

-- name: take_from_lease
UPDATE budget_leases SET nanos = nanos - :nanos
 WHERE replica = :replica AND account = :account AND period = :period AND nanos - spent >= :nanos
RETURNING nanos;

-- name: return_to_account
UPDATE budget_accounts SET lent = lent - :nanos, settled = settled + :settled
 WHERE account = :account AND period = :period;

-- name: renew_leases
UPDATE budget_leases SET expires_at = :expires_at WHERE replica = :replica;

-- name: leases
SELECT replica, account, period, nanos, spent, expires_at FROM budget_leases
 WHERE (CAST(:replica AS TEXT) IS NULL OR replica = :replica)
 ORDER BY account, period, replica;

-- name: drop_leases
DELETE FROM budget_leases WHERE replica = :replica;

-- A lease with nothing left of it, in a period that is over: nothing more comes of it.
-- name: take_past_leases
DELETE FROM budget_leases WHERE (replica, account, period) IN
       (SELECT replica, account, period FROM budget_leases
         WHERE nanos <= spent AND ((period >= 'day:' AND period < :day)
                                OR (period >= 'month:' AND period < :month))
         ORDER BY account, period, replica LIMIT :most)
RETURNING replica, account, period, nanos, spent;

-- name: drop_past_accounts
DELETE FROM budget_accounts WHERE (account, period) IN
       (SELECT a.account, a.period FROM budget_accounts a
         WHERE ((a.period >= 'day:' AND a.period < :day)
             OR (a.period >= 'month:' AND a.period < :month))
           AND NOT EXISTS (SELECT 1 FROM budget_leases l
                            WHERE l.account = a.account AND l.period = a.period)
         ORDER BY a.account, a.period LIMIT :most)
RETURNING account;

-- name: balances
SELECT a.account, a.period, a.lent,
       a.settled + COALESCE((SELECT CAST(SUM(l.spent) AS BIGINT) FROM budget_leases l
                              WHERE l.account = a.account AND l.period = a.period), 0) AS spent
  FROM budget_accounts a ORDER BY a.account, a.period;

-- name: open_spool
INSERT INTO spools (replica, position) VALUES (:replica, 0) ON CONFLICT (replica) DO NOTHING;

-- name: spool
SELECT position FROM spools WHERE replica = :replica;

-- name: advance_spool
UPDATE spools SET position = :after WHERE replica = :replica AND position = :before
RETURNING position;

-- name: close_spool
UPDATE spools SET position = -1 WHERE replica = :replica;

-- name: forget_spool
DELETE FROM spools WHERE replica = :replica AND position = -1;

-- name: add_usage
INSERT INTO usage_events (id, at, key_id, team, task, route, model, release, input_tokens,
                          cached_tokens, output_tokens, duration_us, nanos, flags)
VALUES (:id, :at, :key_id, :team, :task, :route, :model, :release, :input_tokens,
        :cached_tokens, :output_tokens, :duration_us, :nanos, :flags)
ON CONFLICT (id) DO NOTHING;

-- name: usage
SELECT id, at, key_id, team, task, route, model, release, input_tokens, cached_tokens,
       output_tokens, duration_us, nanos, flags
  FROM usage_events WHERE at >= :since ORDER BY at DESC, id LIMIT :most;

-- name: usage_page
SELECT id, at, key_id, team, task, route, model, release, input_tokens, cached_tokens,
       output_tokens, duration_us, nanos, flags
  FROM usage_events
 WHERE at < :until AND (at > :after OR (at = :after AND id > :after_id))
 ORDER BY at, id LIMIT :most;

-- Days that were rolled up count as a whole.
-- name: usage_by
SELECT CASE :first WHEN 'team' THEN team WHEN 'key' THEN key_id WHEN 'task' THEN task
                   WHEN 'route' THEN route WHEN 'model' THEN model WHEN 'release' THEN release
                   WHEN 'day' THEN day ELSE '' END AS first,
       CASE :second WHEN 'team' THEN team WHEN 'key' THEN key_id WHEN 'task' THEN task
                    WHEN 'route' THEN route WHEN 'model' THEN model WHEN 'release' THEN release
                    WHEN 'day' THEN day ELSE '' END AS second,
       CASE :third WHEN 'team' THEN team WHEN 'key' THEN key_id WHEN 'task' THEN task
                   WHEN 'route' THEN route WHEN 'model' THEN model WHEN 'release' THEN release
                   WHEN 'day' THEN day ELSE '' END AS third,
       CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
       CAST(SUM(cached_tokens) AS BIGINT) AS cached_tokens,
       CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
       CAST(SUM(duration_us) AS BIGINT) AS duration_us, CAST(SUM(nanos) AS BIGINT) AS nanos
  FROM (SELECT substr(at, 1, 10) AS day, key_id, team, task, route, model, release, 1 AS calls,
               input_tokens, cached_tokens, output_tokens, duration_us, nanos
          FROM usage_events WHERE at >= :since AND at < :until
        UNION ALL
        SELECT day, key_id, team, task, route, model, release, calls,
               input_tokens, cached_tokens, output_tokens, duration_us, nanos
          FROM usage_days WHERE day >= :first_day AND day <= :last_day) AS found
 GROUP BY 1, 2, 3 ORDER BY nanos DESC, 1, 2, 3 LIMIT :most;

-- name: take_usage_before
DELETE FROM usage_events WHERE id IN
       (SELECT id FROM usage_events WHERE at < :before ORDER BY at, id LIMIT :most)
RETURNING id, at, key_id, team, task, route, model, release, input_tokens, cached_tokens,
          output_tokens, duration_us, nanos, flags;

-- name: add_usage_day
INSERT INTO usage_days (day, key_id, team, task, route, model, release, flags, calls, input_tokens,
                        cached_tokens, output_tokens, duration_us, nanos)
VALUES (:day, :key_id, :team, :task, :route, :model, :release, :flags, :calls, :input_tokens,
        :cached_tokens, :output_tokens, :duration_us, :nanos)
ON CONFLICT (day, key_id, team, task, route, model, release, flags) DO UPDATE
   SET calls = usage_days.calls + excluded.calls,
       input_tokens = usage_days.input_tokens + excluded.input_tokens,
       cached_tokens = usage_days.cached_tokens + excluded.cached_tokens,
       output_tokens = usage_days.output_tokens + excluded.output_tokens,
       duration_us = usage_days.duration_us + excluded.duration_us,
       nanos = usage_days.nanos + excluded.nanos;

-- Who claims a call makes it. A claim or an answer whose time is over can be taken over, and a
-- call that failed.
-- name: claim_call
INSERT INTO task_calls (id, owner, task, digest, holder, answer, until)
VALUES (:id, :owner, :task, :digest, :holder, NULL, :until)
ON CONFLICT (id) DO UPDATE
   SET digest = excluded.digest, holder = excluded.holder, answer = NULL, failure = NULL,
       until = excluded.until
 WHERE task_calls.until < :now OR task_calls.failure IS NOT NULL
RETURNING id;

-- name: find_call
SELECT owner, task, digest, holder, answer, failure, until FROM task_calls WHERE id = :id;

-- name: keep_call
UPDATE task_calls
   SET answer = CAST(:answer AS TEXT), failure = CAST(:failure AS TEXT), until = :until
 WHERE id = :id AND holder = :holder RETURNING id;

-- name: give_up_call
DELETE FROM task_calls WHERE id = :id AND holder = :holder AND answer IS NULL AND failure IS NULL;

-- Claims stay for longer: whoever asks for a call whose process died is told so.
-- name: drop_expired_calls
DELETE FROM task_calls WHERE id IN
       (SELECT id FROM task_calls
         WHERE until < :now
           AND (answer IS NOT NULL OR failure IS NOT NULL OR until < :lost)
         ORDER BY until, id LIMIT :most)
RETURNING id;
