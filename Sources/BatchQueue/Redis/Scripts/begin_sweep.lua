-- Draws a generation: a new sweep, or the same one again after Redis lost data.
-- ARGV: token, generation, 'sweep' | 'redraw', sweep's number, old records by the opening census
-- Reply: 'ok' | 'not leader' | 'cancelled'
if not leads(ARGV[1]) then return 'not leader' end
if redis.call('HGET', PROGRESS, 'state') == 'cancelled' then return 'cancelled' end
redis.call('DEL', PENDING, BATCHES, HELD, LEASES, DELAYED, VOID, FAILURES)
local keys = { PROGRESS }
for _, name in ipairs(cjson.decode(redis.call('HGET', STATE, 'tables') or '[]')) do
  keys[#keys + 1] = P .. 'progress:' .. name
end
for _, key in ipairs(keys) do reset_counters(key) end
for _, field in ipairs({ 'next_sequence', 'cost_rows', 'cost_bytes', 'cost_us', 'splits', 'messages_refused',
  'lease_expiries' }) do
  redis.call('HSET', STATE, field, int(counted(STATE, field)))
end
redis.call('HSET', STATE, 'generation', ARGV[2], 'pushes', 0, 'cursor', '', 'opening_records', ARGV[5],
  'opening_done', redis.call('HGET', PROGRESS, 'records_done'))
redis.call('HSET', PROGRESS, 'state', 'enumerating', 'sweep', ARGV[4], 'enumeration_done', 0, 'updated_at', int(now()))
event(ARGV[3] == 'redraw' and 'generation_redrawn' or 'sweep_started', 'sweep', ARGV[4])
return 'ok'
