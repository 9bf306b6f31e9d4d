CREATE TABLE devices (
  id     TEXT PRIMARY KEY,
  name   TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('active', 'retired'))
);
CREATE TABLE readings (
  device_id   TEXT NOT NULL REFERENCES devices (id),
  measured_at BIGINT NOT NULL,                      -- milliseconds since 1970
  temperature DOUBLE PRECISION NOT NULL,
  humidity    DOUBLE PRECISION NOT NULL
);
CREATE TABLE reading_metrics (
  device_id   TEXT NOT NULL REFERENCES devices (id),
  measured_at BIGINT NOT NULL,
  name        TEXT NOT NULL,
  value       DOUBLE PRECISION NOT NULL
);
CREATE TABLE alert_rules (
  id    TEXT PRIMARY KEY,
  name  TEXT NOT NULL,                              -- of the value that is looked at
  above DOUBLE PRECISION NOT NULL
);
CREATE TABLE alerts (
  id          TEXT PRIMARY KEY,
  rule_id     TEXT NOT NULL REFERENCES alert_rules (id),
  device_id   TEXT NOT NULL REFERENCES devices (id),
  measured_at BIGINT NOT NULL,
  value       DOUBLE PRECISION NOT NULL
);
