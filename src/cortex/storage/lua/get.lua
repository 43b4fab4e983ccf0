-- Return a live value and count the use; clean up after an expired one.
-- KEYS: item, names, uses, counter      ARGV: key, now
local stored = redis.call('HMGET', KEYS[1], 'value', 'etag', 'expires_at')
local live = stored[2]
if live and stored[3] ~= '' and tonumber(stored[3]) <= tonumber(ARGV[2]) then
  live = false
end
if not live then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  return false
end
redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), ARGV[1])
return stored
