-- Charge one request by GCRA (ITU-T I.371, annex A), by this server's clock.
-- KEYS: theoretical arrival time, in microseconds
-- ARGV: interval of one request and period of the burst, in microseconds
-- Returns: allowed, microseconds until the burst is full, microseconds to wait
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local start = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = start + interval
local wait = after - now - period
if wait > 1 then
  return {0, start - now, wait}
end
-- Lua would write the number with 14 digits only.
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX',
  math.ceil((after - now) / 1000) + 1)
return {1, after - now, 0}
