-- Gives a leased batch back untouched; it is due again after a delay.
-- ARGV: generation, sequence, message, delay in ms, new body ('' keeps the message), deliveries
-- Reply: 'counted' | 'duplicate' (no longer in this worker's hands) | 'stale'
local b, refusal = reported(ARGV[1], ARGV[2], ARGV[3])
if not b then return refusal end
if b.state ~= 'l' or b.deliveries ~= ARGV[6] then return 'duplicate' end
local message = redis.call('HGET', HELD, b.sequence)
if ARGV[5] ~= '' then
  message = '{"generation":"' .. generation() .. '","sequence":' .. b.sequence .. ',' .. ARGV[5]
  b.sha = redis.sha1hex(message)
end
redis.call('ZREM', LEASES, b.sequence)
redis.call('HSET', HELD, b.sequence, message)
redis.call('ZADD', DELAYED, int(now() + tonumber(ARGV[4])), b.sequence)
move(b, 'd')
write_batch(b)
return 'counted'
