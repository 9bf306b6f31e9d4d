CREATE TABLE risk_users (
  id           TEXT PRIMARY KEY,
  home_country TEXT NOT NULL
);
CREATE TABLE risk_devices (
  user_id   TEXT NOT NULL REFERENCES risk_users (id),
  device_id TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id)
);
CREATE TABLE risk_transactions (
  id        TEXT PRIMARY KEY,
  user_id   TEXT NOT NULL REFERENCES risk_users (id),
  amount    BIGINT NOT NULL,  -- minor units
  currency  TEXT NOT NULL,
  device_id TEXT NOT NULL,
  country   TEXT NOT NULL,
  disputed  BIGINT NOT NULL DEFAULT 0  -- 1: the user says that it was somebody else
);
CREATE INDEX risk_transactions_of_user ON risk_transactions (user_id);
CREATE TABLE risk_assessments (
  id             TEXT PRIMARY KEY,
  transaction_id TEXT NOT NULL REFERENCES risk_transactions (id),
  score          DOUBLE PRECISION NOT NULL,
  level          TEXT NOT NULL,
  degraded       BIGINT NOT NULL,  -- 1: without the ML service's word
  created_at     TEXT NOT NULL     -- UTC
);
CREATE TABLE risk_alerts (
  assessment_id TEXT PRIMARY KEY REFERENCES risk_assessments (id),
  message       TEXT NOT NULL
);
