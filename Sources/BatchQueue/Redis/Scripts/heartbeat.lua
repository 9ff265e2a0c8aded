-- Extends a worker's leases, shows that it lives, reaps the leases of others.
-- ARGV: worker, lease in ms, host, pid, version, lanes, records done, records a second, started_at,
--       then for each batch in hand sequence, deliveries
-- Reply: {state, paused, throttled, job, generation, then the sequences whose lease is lost}
local time = now()
reap()
local p = redis.call('HMGET', PROGRESS, 'state', 'paused', 'throttled', 'job')
local reply = { p[1] or '', p[2] or '0', p[3] or '', p[4] or '', generation() }
for i = 10, #ARGV, 2 do
  local b = read_batch(ARGV[i])
  if b and b.state == 'l' and b.deliveries == ARGV[i + 1] then
    redis.call('ZADD', LEASES, int(time + tonumber(ARGV[2])), ARGV[i])
  else
    reply[#reply + 1] = ARGV[i]
  end
end
redis.call('ZADD', WORKERS, int(time), ARGV[1])
local key = P .. 'worker:' .. ARGV[1]
redis.call('HSET', key, 'host', ARGV[3], 'pid', ARGV[4], 'version', ARGV[5], 'lanes', ARGV[6],
  'records_done', ARGV[7], 'records_per_second', ARGV[8], 'started_at', ARGV[9])
redis.call('PEXPIRE', key, 60000)
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', int(time - 60000))
return reply
