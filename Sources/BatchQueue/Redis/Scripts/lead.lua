-- Makes the caller the leader of the queue. It holds PostgreSQL's locks already: Redis follows them.
-- ARGV: token
-- Reply: {job, generation, next_sequence, batches_done, pushes, cursor, record, record's code, state,
--        enumeration_done, sweep, started_at}
redis.call('HSET', STATE, 'leader', ARGV[1])
local s = redis.call('HMGET', STATE, 'job', 'generation', 'next_sequence', 'pushes', 'cursor', 'record',
  'record_code')
local p = redis.call('HMGET', PROGRESS, 'batches_done', 'state', 'enumeration_done', 'sweep', 'started_at')
return { s[1] or '', s[2] or '', s[3] or '0', p[1] or '0', s[4] or '0', s[5] or '', s[6] or '', s[7] or '',
  p[2] or '', p[3] or '0', p[4] or '0', p[5] or '' }
