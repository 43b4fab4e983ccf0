-- Remove every value of a namespace; return how many were live.
-- KEYS: names, uses, counter      ARGV: now, prefix
local count = 0
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local item = ARGV[2] .. name
  local stored = redis.call('HMGET', item, 'etag', 'expires_at')
  if stored[1] and (stored[2] == '' or tonumber(stored[2]) > tonumber(ARGV[1])) then
    count = count + 1
  end
  redis.call('DEL', item)
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return count
