-- Ends the job: its state, and its report at the head of the history, where it stands once: an end whose answer was
-- lost is sent again.
-- ARGV: token, 'complete' | 'incomplete' | 'cancelled', report (JSON), most reports kept
-- Reply: 'ok' | 'not leader'
if not leads(ARGV[1]) then return 'not leader' end
redis.call('HSET', PROGRESS, 'state', ARGV[2], 'finished_at', int(now()), 'updated_at', int(now()),
  'throttled', '', 'records_per_second', '', 'eta_seconds', '')
redis.call('DEL', PENDING)
if redis.call('LRANGE', HISTORY, 0, 0)[1] ~= ARGV[3] then
  redis.call('LPUSH', HISTORY, ARGV[3])
  redis.call('LTRIM', HISTORY, 0, tonumber(ARGV[4]) - 1)
  event('job_' .. ARGV[2])
end
return 'ok'
