-- Store a value if the stored version is the expected one, and evict beyond the bound.
-- KEYS: item, names, uses, counter
-- ARGV: key, value, etag, expires_at, ttl_ms, now, mode, expected, entries_max, prefix
local stored = redis.call('HMGET', KEYS[1], 'etag', 'expires_at')
local found = stored[1] or ''
if found ~= '' and stored[2] ~= '' and tonumber(stored[2]) <= tonumber(ARGV[6]) then
  found = ''
end
if ARGV[7] == 'if' and found ~= ARGV[8] then
  return {0, found}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'value', ARGV[2], 'etag', ARGV[3], 'expires_at', ARGV[4])
if ARGV[5] ~= '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), ARGV[1])
local surplus = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[9])
if surplus > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[3], surplus)
  for i = 1, #popped, 2 do
    redis.call('ZREM', KEYS[2], popped[i])
    redis.call('DEL', ARGV[10] .. popped[i])
  end
end
return {1, ARGV[3]}
