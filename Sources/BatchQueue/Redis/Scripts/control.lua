-- Pauses, resumes or cancels the job on the queue.
-- ARGV: 'pause' | 'resume' | 'cancel'
-- Reply: 'ok' | 'no job'
if not running() then return 'no job' end
if ARGV[1] == 'cancel' then
  redis.call('HSET', PROGRESS, 'state', 'cancelled', 'throttled', '', 'finished_at', int(now()), 'records_per_second', '',
    'eta_seconds', '')
  -- Nothing more is handed out; what is in hand may still be reported.
  redis.call('DEL', PENDING)
else
  redis.call('HSET', PROGRESS, 'paused', ARGV[1] == 'pause' and 1 or 0)
end
redis.call('HSET', PROGRESS, 'updated_at', int(now()))
event(ARGV[1])
return 'ok'
