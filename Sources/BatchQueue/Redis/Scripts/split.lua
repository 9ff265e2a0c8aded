-- Replaces a batch by its parts.
-- ARGV: generation, sequence, message, then for each part records, body
-- Reply: 'counted' | 'duplicate' | 'stale'
local b, refusal = reported(ARGV[1], ARGV[2], ARGV[3])
if not b then return refusal end
take_out(b)
add(b.table, 'batches_total', -1)
local handed_on = 0
for i = 4, #ARGV, 2 do
  local _, message = new_batch(b.table, tonumber(ARGV[i]), ARGV[i + 1], 'p')
  redis.call('RPUSH', PENDING, message)
  handed_on = handed_on + tonumber(ARGV[i])
end
redis.call('HINCRBY', STATE, 'splits', 1)
count(b, 0, 0, handed_on)
return 'counted'
