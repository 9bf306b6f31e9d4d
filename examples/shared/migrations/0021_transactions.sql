CREATE TABLE transactions (
  id           TEXT PRIMARY KEY,
  from_account TEXT NOT NULL REFERENCES accounts (id),
  to_account   TEXT NOT NULL REFERENCES accounts (id),
  amount       BIGINT NOT NULL CHECK (amount > 0),  -- minor units
  currency     TEXT NOT NULL,
  note         TEXT NOT NULL,
  status       TEXT NOT NULL,
  created_at   TEXT NOT NULL  -- UTC
);
CREATE TABLE transfer_notices (
  transaction_id TEXT PRIMARY KEY REFERENCES transactions (id),
  user_id        TEXT NOT NULL,
  text           TEXT NOT NULL
);
