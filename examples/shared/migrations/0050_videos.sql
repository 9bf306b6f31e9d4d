CREATE TABLE videos (
  id         TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES users (id),
  object_key TEXT NOT NULL UNIQUE,
  size_bytes BIGINT NOT NULL CHECK (size_bytes > 0),
  status     TEXT NOT NULL CHECK (status IN ('processing', 'ready', 'not_queued')),
  created_at TEXT NOT NULL                          -- UTC, ISO 8601
);
