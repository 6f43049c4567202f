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
 WHERE (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
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
