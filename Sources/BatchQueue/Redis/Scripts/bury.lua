-- Gives a batch up: its records count as failed.
-- ARGV: generation, sequence, message, field, value of the failure
-- Reply: 'counted' | 'duplicate' | 'stale'
local b, refusal = reported(ARGV[1], ARGV[2], ARGV[3])
if not b then return refusal end
take_out(b)
add(b.table, 'batches_dead', 1)
count(b, 0, tonumber(b.records), 0)
keep_failure(ARGV[4], ARGV[5])
event('batch_dead', 'sequence', ARGV[2], 'table', b.table)
return 'counted'
