INSERT INTO devices (id, name, status) VALUES
  ('d-1', 'Greenhouse, north', 'active'),
  ('d-2', 'Greenhouse, south', 'active'),
  ('d-3', 'Cold store', 'active'),
  ('d-4', 'Boiler room', 'active'),
  ('d-9', 'Shed', 'retired');
INSERT INTO alert_rules (id, name, above) VALUES
  ('too-hot', 'temperature', 80),
  ('vibration', 'vibration', 9.5);
