-- Pushes batches and stores the cursor with them, once: compare-and-set on the number of the push.
-- ARGV: token, generation, number of this push (from 1), cursor, enumeration done (0/1), then for each batch
--       table, records, body
-- Reply: 'ok' | 'repeated' (this push was made already) | 'not leader' | 'stale' | 'cancelled'
if not leads(ARGV[1]) then return 'not leader' end
if generation() ~= ARGV[2] then return 'stale' end
local pushes = tonumber(redis.call('HGET', STATE, 'pushes') or '0')
if pushes == tonumber(ARGV[3]) then return 'repeated' end
if pushes + 1 ~= tonumber(ARGV[3]) then return 'stale' end
if redis.call('HGET', PROGRESS, 'state') == 'cancelled' then return 'cancelled' end
local number = take_sequences((#ARGV - 5) / 3)
local batches, records = {}, {}
for i = 6, #ARGV, 3 do
  number = number + 1
  local name, n = ARGV[i], tonumber(ARGV[i + 1])
  local _, message = make_batch(number, name, n, ARGV[i + 2], 'p')
  redis.call('LPUSH', PENDING, message)
  batches[name] = (batches[name] or 0) + 1
  records[name] = (records[name] or 0) + n
end
for name, n in pairs(batches) do
  count_new(name, 'p', n)
  add(name, 'records_total', records[name])
end
redis.call('HSET', STATE, 'pushes', ARGV[3], 'cursor', ARGV[4])
if ARGV[5] == '1' then
  redis.call('HSET', PROGRESS, 'enumeration_done', 1, 'state', 'draining')
  event('enumeration_done')
end
redis.call('HSET', PROGRESS, 'updated_at', int(now()))
return 'ok'
