-- The coordinator's pulse: writes rate, remaining time and the number of workers, keeps a sample for charts, and
-- tells what it needs to notice that Redis lost data.
-- ARGV: token ('' only reads), records a second ('' unknown), eta in s ('' unknown), state to set ('' keeps it)
-- Reply: {leads (0/1), job, generation, next_sequence, batches_done, state, paused, length of pending,
--         batches_pending, records_done, records_total, records_rewrapped, records_superseded, records_failed,
--         batches_total, batches_leased, batches_delayed, batches_dead, enumeration_done, workers,
--         sweep, leader, cost: rows, bytes, µs, splits, started_at, messages refused, lease expiries,
--         pushes, batches that are known, and of those leased, delayed and held}

-- A ring that always reaches back to the job's start: full, it drops every second sample and samples half as often.
local function sample(time, rate)
  local s = redis.call('HMGET', STATE, 'sampled_at', 'sample_interval')
  local interval = tonumber(s[2] or '1000') or 1000
  if time - (tonumber(s[1] or '0') or 0) < interval then return end
  redis.call('LPUSH', SAMPLES, '[' .. int(time) .. ',' .. (redis.call('HGET', PROGRESS, 'records_done') or '0') .. ','
    .. (rate ~= '' and rate or 'null') .. ']')
  if redis.call('LLEN', SAMPLES) >= SAMPLES_KEPT then
    local all = redis.call('LRANGE', SAMPLES, 0, -1)
    redis.call('DEL', SAMPLES)
    for i = 1, #all, 2 do redis.call('RPUSH', SAMPLES, all[i]) end
    interval = interval * 2
  end
  redis.call('HSET', STATE, 'sampled_at', int(time), 'sample_interval', int(interval))
end

local time = now()
reap()
release_due()
local workers = redis.call('ZCOUNT', WORKERS, int(time - 35000), '+inf')
local mine = ARGV[1] ~= '' and leads(ARGV[1])
if mine then
  redis.call('HSET', PROGRESS, 'records_per_second', ARGV[2], 'eta_seconds', ARGV[3], 'workers', workers,
    'updated_at', int(time))
  if ARGV[4] ~= '' and running() then redis.call('HSET', PROGRESS, 'state', ARGV[4]) end
  sample(time, ARGV[2])
end
local s = redis.call('HMGET', STATE, 'job', 'generation', 'next_sequence')
local p = redis.call('HMGET', PROGRESS, 'batches_done', 'state', 'paused', 'batches_pending', 'records_done',
  'records_total', 'records_rewrapped', 'records_superseded', 'records_failed', 'batches_total', 'batches_leased',
  'batches_delayed', 'batches_dead', 'enumeration_done')
local reply = { mine and 1 or 0, s[1] or '', s[2] or '', s[3] or '0', p[1] or '0', p[2] or '', p[3] or '0',
  redis.call('LLEN', PENDING), p[4] or '0' }
for i = 5, 14 do reply[#reply + 1] = p[i] or '0' end
reply[#reply + 1] = workers
local more = redis.call('HMGET', PROGRESS, 'sweep', 'started_at')
local cost = redis.call('HMGET', STATE, 'cost_rows', 'cost_bytes', 'cost_us', 'splits', 'messages_refused',
  'lease_expiries', 'leader')
for _, item in ipairs({ more[1] or '0', cost[7] or '', cost[1] or '0', cost[2] or '0', cost[3] or '0', cost[4] or '0',
  more[2] or '', cost[5] or '0', cost[6] or '0' }) do
  reply[#reply + 1] = item
end
reply[#reply + 1] = redis.call('HGET', STATE, 'pushes') or '0'
reply[#reply + 1] = redis.call('HLEN', BATCHES)
reply[#reply + 1] = redis.call('ZCARD', LEASES)
reply[#reply + 1] = redis.call('ZCARD', DELAYED)
reply[#reply + 1] = redis.call('HLEN', HELD)
return reply
