-- Starts a job, or restores one that Redis has lost: empties the queue and writes the job's fields.
-- ARGV: token, job, record, record's code, target key, mode, started_at (ms; empty: now), paused, tables (JSON array)
-- Reply: 'ok' | 'not leader'
if not leads(ARGV[1]) then return 'not leader' end
local tables = cjson.decode(ARGV[9])
redis.call('DEL', PROGRESS, PENDING, BATCHES, HELD, LEASES, DELAYED, VOID, FAILURES, SAMPLES, LEAF_ROWS, P .. 'census')
local old = redis.call('HGET', STATE, 'tables')
if old then
  for _, name in ipairs(cjson.decode(old)) do redis.call('DEL', P .. 'progress:' .. name) end
end
redis.call('DEL', STATE)
local started = ARGV[7] ~= '' and ARGV[7] or int(now())
redis.call('HSET', STATE, 'leader', ARGV[1], 'job', ARGV[2], 'record', ARGV[3], 'record_code', ARGV[4],
  'tables', ARGV[9], 'next_sequence', 0, 'pushes', 0, 'generation', '', 'cursor', '')
local keys = { PROGRESS }
for _, name in ipairs(tables) do keys[#keys + 1] = P .. 'progress:' .. name end
for _, key in ipairs(keys) do
  reset_counters(key)
  redis.call('HSET', key, 'records_per_second', '', 'eta_seconds', '')
end
redis.call('HSET', PROGRESS, 'job', ARGV[2], 'state', 'enumerating', 'paused', ARGV[8], 'throttled', '',
  'target_key', ARGV[5], 'mode', ARGV[6], 'sweep', 0, 'tables', ARGV[9], 'workers', '',
  'enumeration_done', 0, 'started_at', started, 'updated_at', int(now()), 'finished_at', '')
event('job_started', 'job', ARGV[2])
return 'ok'
