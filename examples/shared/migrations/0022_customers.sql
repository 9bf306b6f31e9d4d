INSERT INTO accounts (id, user_id, balance, currency, status) VALUES
  ('a-1001', 'u-1', 50000, 'EUR', 'active'),
  ('a-1002', 'u-2', 12000, 'EUR', 'active'),
  ('a-1003', 'u-3', 80000, 'EUR', 'frozen'),
  ('a-1004', 'u-4', 30000, 'USD', 'active');
