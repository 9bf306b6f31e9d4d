INSERT INTO risk_users (id, home_country) VALUES ('u-1', 'AT'), ('u-2', 'FR'), ('u-3', 'PT');
INSERT INTO risk_devices (user_id, device_id) VALUES ('u-1', 'd-phone-1'), ('u-2', 'd-phone-2'), ('u-3', 'd-phone-3');
INSERT INTO risk_transactions (id, user_id, amount, currency, device_id, country, disputed) VALUES
  ('t-0101', 'u-1',   4200, 'EUR', 'd-phone-1', 'AT', 0),
  ('t-0102', 'u-1',   5100, 'EUR', 'd-phone-1', 'AT', 0),
  ('t-0103', 'u-1',   3900, 'EUR', 'd-phone-1', 'DE', 0),
  ('t-0201', 'u-2',  20000, 'EUR', 'd-phone-2', 'FR', 0),
  ('t-0202', 'u-2',  16000, 'EUR', 'd-phone-2', 'FR', 1),
  ('t-0203', 'u-2',  21000, 'EUR', 'd-phone-2', 'FR', 0),
  ('t-0301', 'u-3',   9000, 'EUR', 'd-phone-3', 'PT', 1),
  ('t-0302', 'u-3',  11000, 'EUR', 'd-phone-3', 'PT', 1),
  ('t-1001', 'u-1',   4700, 'EUR', 'd-phone-1', 'AT', 0),
  ('t-1002', 'u-2',  60000, 'EUR', 'd-new',     'FR', 0),
  ('t-1003', 'u-3', 190000, 'EUR', 'd-new',     'KY', 0);
