CREATE TABLE posts (
  id         TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES users (id),
  content    TEXT NOT NULL,
  visibility TEXT NOT NULL CHECK (visibility IN ('public', 'friends', 'private')),
  created_at TEXT NOT NULL                          -- UTC, ISO 8601
);
CREATE TABLE post_images (
  post_id  TEXT NOT NULL REFERENCES posts (id),
  position BIGINT NOT NULL CHECK (position > 0),
  url      TEXT NOT NULL,
  PRIMARY KEY (post_id, position)
);
CREATE TABLE follows (
  follower_id TEXT NOT NULL REFERENCES users (id),
  followee_id TEXT NOT NULL REFERENCES users (id),
  PRIMARY KEY (follower_id, followee_id)
);
CREATE TABLE timelines (
  user_id TEXT NOT NULL REFERENCES users (id),
  post_id TEXT NOT NULL REFERENCES posts (id),
  PRIMARY KEY (user_id, post_id)
);
