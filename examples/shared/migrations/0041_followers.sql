INSERT INTO follows (follower_id, followee_id) VALUES
  ('u-2', 'u-1'), ('u-3', 'u-1'), ('u-9', 'u-1'),
  ('u-1', 'u-2');
