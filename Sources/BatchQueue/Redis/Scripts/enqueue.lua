-- Pushes batches and stores the cursor with them, once: compare-and-set on the number of the push.
-- ARGV: token, generation, number of this push (from 1), cursor, enumeration done (0/1), then for each batch
--       table, records, body
-- Reply: 'ok' | 'repeated' (this push was made already) | 'not leader' | 'stale'
if not leads(ARGV[1]) then return 'not leader' end
if generation() ~= ARGV[2] then return 'stale' end
local pushes = tonumber(redis.call('HGET', STATE, 'pushes') or '0')
if pushes == tonumber(ARGV[3]) then return 'repeated' end
if pushes + 1 ~= tonumber(ARGV[3]) then return 'stale' end
for i = 6, #ARGV, 3 do
  local _, message = new_batch(ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], 'p')
  redis.call('LPUSH', PENDING, message)
  add(ARGV[i], 'records_total', tonumber(ARGV[i + 1]))
end
redis.call('HSET', STATE, 'pushes', ARGV[3], 'cursor', ARGV[4])
if ARGV[5] == '1' then
  redis.call('HSET', PROGRESS, 'enumeration_done', 1, 'state', 'draining')
  event('enumeration_done')
end
redis.call('HSET', PROGRESS, 'updated_at', int(now()))
return 'ok'
