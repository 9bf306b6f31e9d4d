INSERT INTO users (id, name, status, tier, chargebacks) VALUES
  ('u-1', 'Ada', 'active', 'gold', 0),
  ('u-2', 'Grace', 'active', 'standard', 0),
  ('u-3', 'Edsger', 'active', 'standard', 0),
  ('u-8', 'Mallory', 'suspended', 'standard', 2),
  ('u-9', 'Eve', 'active', 'standard', 5);
INSERT INTO coupons (user_id, code, percent, valid_until) VALUES
  ('u-2', 'WELCOME10', 10, '2099-12-31T00:00:00Z'),
  ('u-3', 'SUMMER25', 25, '2020-08-31T00:00:00Z');
