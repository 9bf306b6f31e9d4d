CREATE TABLE products (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  price      BIGINT NOT NULL CHECK (price >= 0),  -- minor units
  currency   TEXT NOT NULL,
  stock      BIGINT NOT NULL CHECK (stock >= 0),
  view_count BIGINT NOT NULL DEFAULT 0
);
