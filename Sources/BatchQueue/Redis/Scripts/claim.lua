-- Leases batches to a worker. No instant in which a popped batch is in no structure.
-- ARGV: most batches, lease in ms, job that the worker works for
-- Reply: {state, paused, throttled, job, generation, messages refused by this call, ms until the pace allows a claim,
--         then for each batch sequence, deliveries, crashes, message}

-- A claim that comes late may catch up so many ms of the pace.
local CATCH_UP = 100
local pace, due

-- How long, in ms, the pace lets nothing be handed out.
local function wait(time)
  if not pace then return 0 end
  if pace <= 0 then return 1000 end
  return math.max(0, math.ceil(due - time))
end

reap()
release_due()
local p = redis.call('HMGET', PROGRESS, 'state', 'paused', 'throttled', 'job')
local reply = { p[1] or '', p[2] or '0', p[3] or '', p[4] or '', generation(), '0', '0' }
if p[4] ~= ARGV[3] or not is_running(p[1]) or p[2] == '1' then return reply end
local time = now()
local s = redis.call('HMGET', STATE, 'pace', 'pace_due')
pace, due = tonumber(s[1] or ''), tonumber(s[2] or '') or 0
local refused, taken = 0, 0
while taken < tonumber(ARGV[1]) and refused < 100 and wait(time) == 0 do
  local message = redis.call('RPOP', PENDING)
  if not message then break end
  -- `make_batch` has written the head; the digest below answers for the rest.
  local stamp, sequence
  if #message <= MESSAGE_LIMIT then
    stamp, sequence = string.match(message, '^{"generation":"([^"]*)","sequence":(%d+),')
  end
  local is_ours = stamp == generation()
  local b = is_ours and read_batch(sequence)
  if b and b.state == 'p' and b.sha == redis.sha1hex(message) then
    b.deliveries = int(b.deliveries + 1)
    move(b, 'l')
    write_batch(b)
    redis.call('ZADD', LEASES, int(time + tonumber(ARGV[2])), sequence)
    redis.call('HSET', HELD, sequence, message)
    local at = #reply
    reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = sequence, b.deliveries, b.crashes, message
    taken = taken + 1
    if pace then due = math.max(due, time - CATCH_UP) + b.records * 1000 / pace end
  elseif is_ours and not b and redis.call('SREM', VOID, sequence) == 1 then
    -- Counted after its lease had run out: its second copy is void.
  else
    refused = refused + 1
  end
end
if pace then
  redis.call('HSET', STATE, 'pace_due', string.format('%.3f', due))
  reply[7] = int(wait(time))
end
if refused > 0 then
  redis.call('HINCRBY', STATE, 'messages_refused', refused)
  event('messages_refused', 'count', refused)
  reply[6] = tostring(refused)
end
return reply
