-- Remove a value if the stored version is the expected one.
-- KEYS: item, names, uses      ARGV: key, now, mode, expected
local stored = redis.call('HMGET', KEYS[1], 'etag', 'expires_at')
local found = stored[1] or ''
if found ~= '' and stored[2] ~= '' and tonumber(stored[2]) <= tonumber(ARGV[2]) then
  found = ''
end
if ARGV[3] == 'if' and found ~= ARGV[4] then
  return {0, found}
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return {1, found}
