-- KEYS: the stream, the mark of this event. ARGV: seconds of the mark, length of the
-- stream, the event's id, its type, its body. One step, so that no repeat slips between.
if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) then
  return false
end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*',
  'id', ARGV[3], 'type', ARGV[4], 'body', ARGV[5])
