CREATE TABLE accounts (
  id       TEXT PRIMARY KEY,
  user_id  TEXT NOT NULL,
  balance  BIGINT NOT NULL CHECK (balance >= 0),  -- minor units
  currency TEXT NOT NULL,
  status   TEXT NOT NULL CHECK (status IN ('active', 'frozen'))
);
