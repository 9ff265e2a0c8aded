-- Sets how fast batches are handed out, and what people are told of the reason.
-- ARGV: token, records a second over all workers ('' no limit, 0 nothing for the moment), reason ('' none)
-- Reply: 'ok' | 'not leader'
if not leads(ARGV[1]) then return 'not leader' end
local s = redis.call('HMGET', STATE, 'pace', 'pace_due')
local old, new, due, time = tonumber(s[1] or ''), tonumber(ARGV[2]), tonumber(s[2] or ''), now()
if old and new and due and old > 0 and new > 0 then
  -- What remains of a wait is as long as it would be under the new pace.
  if due > time then due = time + (due - time) * old / new end
else
  due = 0
end
redis.call('HSET', STATE, 'pace', ARGV[2], 'pace_due', string.format('%.3f', due))
if running() then redis.call('HSET', PROGRESS, 'throttled', ARGV[3]) end
return 'ok'
