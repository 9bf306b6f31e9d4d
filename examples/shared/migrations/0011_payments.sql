CREATE TABLE payments (
  id             TEXT PRIMARY KEY,
  order_id       TEXT NOT NULL UNIQUE REFERENCES orders (id),  -- an order is paid once
  method         TEXT NOT NULL CHECK (method IN ('credit_card', 'alipay', 'wechat')),
  amount         BIGINT NOT NULL CHECK (amount >= 0),          -- minor units
  currency       TEXT NOT NULL,
  status         TEXT NOT NULL CHECK (status IN ('processing', 'pending', 'success', 'rejected')),
  transaction_id TEXT,                                         -- the gateway's
  created_at     TEXT NOT NULL
);
