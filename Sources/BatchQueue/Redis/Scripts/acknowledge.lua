-- Counts a batch whose transaction is committed: the first report counts, wherever the batch is by now.
-- ARGV: generation, sequence, message, rewrapped, failed, remainder's body ('' for none), remainder's
--       records, remainder's delay in ms, cost: rows, bytes, µs, leaf, then for each failed record field, value
-- Reply: 'counted' | 'duplicate' | 'stale'
local b, refusal = reported(ARGV[1], ARGV[2], ARGV[3])
if not b then return refusal end
local handed_on = ARGV[6] ~= '' and tonumber(ARGV[7]) or 0
take_out(b)
add(b.table, 'batches_done', 1)
count(b, tonumber(ARGV[4]), tonumber(ARGV[5]), handed_on)
for i = 13, #ARGV, 2 do keep_failure(ARGV[i], ARGV[i + 1]) end
redis.call('HINCRBY', STATE, 'cost_rows', ARGV[9])
redis.call('HINCRBY', STATE, 'cost_bytes', ARGV[10])
redis.call('HINCRBY', STATE, 'cost_us', ARGV[11])
redis.call('HINCRBY', LEAF_ROWS, ARGV[12], ARGV[9])
if ARGV[6] ~= '' then
  local sequence, message = new_batch(b.table, handed_on, ARGV[6], 'd')
  redis.call('ZADD', DELAYED, int(now() + tonumber(ARGV[8])), sequence)
  redis.call('HSET', HELD, sequence, message)
end
event('batch_done', 'sequence', ARGV[2], 'table', b.table, 'rewrapped', ARGV[4], 'failed', ARGV[5])
return 'counted'
