CREATE TABLE users (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
  tier        TEXT NOT NULL CHECK (tier IN ('standard', 'gold')),
  chargebacks BIGINT NOT NULL DEFAULT 0 CHECK (chargebacks >= 0)
);
CREATE TABLE coupons (
  user_id     TEXT PRIMARY KEY REFERENCES users (id),
  code        TEXT NOT NULL,
  percent     BIGINT NOT NULL CHECK (percent BETWEEN 1 AND 90),
  valid_until TEXT NOT NULL                         -- UTC, ISO 8601, as all times
);
CREATE TABLE orders (
  id               TEXT PRIMARY KEY,
  user_id          TEXT NOT NULL REFERENCES users (id),
  total            BIGINT NOT NULL CHECK (total >= 0),   -- minor units
  currency         TEXT NOT NULL,
  status           TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'payment_failed')),
  payment_method   TEXT NOT NULL,
  shipping_address TEXT NOT NULL,
  created_at       TEXT NOT NULL
);
CREATE TABLE order_items (
  order_id   TEXT NOT NULL REFERENCES orders (id),
  product_id TEXT NOT NULL REFERENCES products (id),
  quantity   BIGINT NOT NULL CHECK (quantity > 0),
  price      BIGINT NOT NULL CHECK (price >= 0),
  PRIMARY KEY (order_id, product_id)
);
CREATE TABLE inventory_logs (
  order_id   TEXT NOT NULL REFERENCES orders (id),
  product_id TEXT NOT NULL REFERENCES products (id),
  quantity   BIGINT NOT NULL CHECK (quantity > 0),
  operation  TEXT NOT NULL CHECK (operation IN ('reserve', 'release')),
  created_at TEXT NOT NULL,
  PRIMARY KEY (order_id, product_id, operation)     -- nothing is reserved or released twice
);
CREATE TABLE notifications (
  order_id   TEXT PRIMARY KEY REFERENCES orders (id),
  user_id    TEXT NOT NULL REFERENCES users (id),
  message    TEXT NOT NULL,
  created_at TEXT NOT NULL
);
