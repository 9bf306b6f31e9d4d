INSERT INTO products (id, name, price, currency, stock) VALUES
  ('p-1001', 'Espresso cup', 1290, 'EUR', 40),
  ('p-1002', 'Moka pot', 3450, 'EUR', 12),
  ('p-1003', 'Hand grinder', 8900, 'EUR', 3),
  ('p-1004', 'Copper kettle', 14900, 'EUR', 0);
