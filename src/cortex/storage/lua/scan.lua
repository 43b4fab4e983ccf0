-- Return live entries in byte order of their keys, skipping what has expired.
-- KEYS: names      ARGV: min, max, limit, now, prefix
local found = {}
local from = ARGV[1]
local limit = tonumber(ARGV[3])
while #found < limit do
  local names = redis.call('ZRANGEBYLEX', KEYS[1], from, ARGV[2], 'LIMIT', 0, limit)
  if #names == 0 then
    break
  end
  for _, name in ipairs(names) do
    local stored = redis.call('HMGET', ARGV[5] .. name, 'value', 'etag', 'expires_at')
    local live = stored[2]
    if live and stored[3] ~= '' and tonumber(stored[3]) <= tonumber(ARGV[4]) then
      live = false
    end
    if live then
      found[#found + 1] = {name, stored[1], stored[2], stored[3]}
      if #found == limit then
        break
      end
    end
    from = '(' .. name
  end
end
return found
