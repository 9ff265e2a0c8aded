-- Stands in front of every script. KEYS[1] is `reencrypt:{<queue>}:progress`; every other key of the queue has
-- the same prefix, hash tag and slot, and is derived from it.
--
-- state     hash, ours alone: generation, next_sequence, pushes, cursor, leader, job record
-- batches   hash: sequence -> state|deliveries|crashes|records|sha1 of the message|table; state is
--           p (pending), l (leased), d (delayed). A batch is here from its enqueueing until it is counted.
-- void      set: sequences of counted batches whose message is still in the list
-- leaf_rows hash: oid of a leaf -> rows rewritten in it, over the whole job
-- held      hash: sequence -> message, of leased and delayed batches; pending ones have theirs in the list
--
-- What a call costs Redis bounds the whole queue. A command takes it about a microsecond, a number made into text a
-- third of one: what does not change within a script is asked for once, and numbers stay the texts that they are.
local P = string.sub(KEYS[1], 1, -9)
local PROGRESS, STATE, PENDING, BATCHES = KEYS[1], P .. 'state', P .. 'pending', P .. 'batches'
local HELD, LEASES, DELAYED, FAILURES = P .. 'held', P .. 'leases', P .. 'delayed', P .. 'failures'
local VOID, LEAF_ROWS = P .. 'void', P .. 'leaf_rows'
local WORKERS, EVENTS, SAMPLES, HISTORY = P .. 'workers', P .. 'events', P .. 'samples', P .. 'history'
local FAILURES_KEPT, SAMPLES_KEPT, MESSAGE_LIMIT = 100000, 2000, 65536

-- Milliseconds of Redis's own clock: leases never depend on a client's. A script is one instant.
local clock
local function now()
  if not clock then
    local t = redis.call('TIME')
    clock = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return clock
end

-- Whole numbers as decimal text; Lua writes large ones with an exponent otherwise.
local function int(n)
  if n == 1 then return '1' end
  if n == -1 then return '-1' end
  return string.format('%.0f', n)
end

local function add(table_name, field, n)
  if n == 0 then return end
  local text = int(n)
  redis.call('HINCRBY', PROGRESS, field, text)
  redis.call('HINCRBY', P .. 'progress:' .. table_name, field, text)
end

local function event(kind, ...)
  redis.call('XADD', EVENTS, 'MAXLEN', '~', '1000', '*', 'kind', kind, ...)
end

local function is_running(state) return state == 'enumerating' or state == 'draining' or state == 'verifying' end

local function running() return is_running(redis.call('HGET', PROGRESS, 'state')) end

local known_generation
local function generation()
  known_generation = known_generation or redis.call('HGET', STATE, 'generation') or ''
  return known_generation
end

-- The counter of a state.
local function counter(state)
  return state == 'p' and 'batches_pending' or state == 'l' and 'batches_leased' or 'batches_delayed'
end

-- A batch by its sequence number, its numbers as text; nil once it has been counted, or where it never was.
local function read_batch(sequence)
  local text = redis.call('HGET', BATCHES, sequence)
  if not text then return nil end
  local s, d, c, n, sha, t = string.match(text, '^(%a)|(%d+)|(%d+)|(%d+)|(%x+)|(.*)$')
  if not s then return nil end
  return { sequence = sequence, state = s, deliveries = d, crashes = c, records = n, sha = sha, table = t }
end

local function write_batch(b)
  redis.call('HSET', BATCHES, b.sequence,
    b.state .. '|' .. b.deliveries .. '|' .. b.crashes .. '|' .. b.records .. '|' .. b.sha .. '|' .. b.table)
end

-- Changes a batch's state and the counters of state with it.
local function move(b, state)
  add(b.table, counter(b.state), -1)
  add(b.table, counter(state), 1)
  b.state = state
end

-- Takes a batch out of whatever it is in. A pending one's message stays in the list, where it is void.
local function take_out(b)
  if b.state == 'p' then redis.call('SADD', VOID, b.sequence) end
  if b.state == 'l' then redis.call('ZREM', LEASES, b.sequence) end
  if b.state == 'd' then redis.call('ZREM', DELAYED, b.sequence) end
  redis.call('HDEL', HELD, b.sequence)
  redis.call('HDEL', BATCHES, b.sequence)
  add(b.table, counter(b.state), -1)
end

-- Takes `n` sequence numbers and returns the one before the first of them.
local function take_sequences(n) return redis.call('HINCRBY', STATE, 'next_sequence', n) - n end

-- Makes a batch under a sequence number, without counting it. `body` is the rest of the message's JSON object.
local function make_batch(number, table_name, records, body, state)
  local sequence = int(number)
  local message = '{"generation":"' .. generation() .. '","sequence":' .. sequence .. ',' .. body
  local b = { sequence = sequence, state = state, deliveries = '0', crashes = '0', records = int(records),
    sha = redis.sha1hex(message), table = table_name }
  write_batch(b)
  return sequence, message
end

local function count_new(table_name, state, n)
  add(table_name, counter(state), n)
  add(table_name, 'batches_total', n)
end

-- Makes a batch under the next sequence number.
local function new_batch(table_name, records, body, state)
  count_new(table_name, state, 1)
  return make_batch(take_sequences(1) + 1, table_name, records, body, state)
end

-- The batch that a report names, or why the report does not count.
local function reported(report_generation, sequence, message)
  if report_generation ~= generation() then return nil, 'stale' end
  local b = read_batch(sequence)
  if not b then return nil, 'duplicate' end
  if b.sha ~= redis.sha1hex(message) then return nil, 'stale' end
  return b
end

-- r rewrapped, f failed, and `handed_on` records that go on in other batches, out of a batch of n.
local function count(b, r, f, handed_on)
  local records, accounted = tonumber(b.records), r + f + handed_on
  add(b.table, 'records_rewrapped', r)
  add(b.table, 'records_failed', f)
  add(b.table, 'failures_total', f)
  local superseded = math.max(0, records - accounted)
  add(b.table, 'records_superseded', superseded)
  add(b.table, 'records_done', r + f + superseded)
  add(b.table, 'records_total', math.max(0, accounted - records))
  redis.call('HSET', PROGRESS, 'updated_at', int(now()))
end

-- `field` names the record, `value` says why. The first 100,000 are kept, all are counted.
local function keep_failure(field, value)
  if redis.call('HLEN', FAILURES) < FAILURES_KEPT or redis.call('HEXISTS', FAILURES, field) == 1 then
    redis.call('HSET', FAILURES, field, value)
  end
end

-- Leases that have run out become pending again, at the front.
local function reap()
  for _, sequence in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now()), 'LIMIT', 0, 100)) do
    local b = read_batch(sequence)
    local message = redis.call('HGET', HELD, sequence)
    redis.call('ZREM', LEASES, sequence)
    if b and message then
      redis.call('HDEL', HELD, sequence)
      b.crashes = int(b.crashes + 1)
      move(b, 'p')
      write_batch(b)
      redis.call('RPUSH', PENDING, message)
      redis.call('HINCRBY', STATE, 'lease_expiries', 1)
      event('lease_expired', 'sequence', sequence, 'table', b.table)
    end
  end
end

-- Delayed batches that are due become pending, at the front.
local function release_due()
  local time = now()
  for _, sequence in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', int(time), 'LIMIT', 0, 100)) do
    local b = read_batch(sequence)
    local message = redis.call('HGET', HELD, sequence)
    redis.call('ZREM', DELAYED, sequence)
    redis.call('HDEL', HELD, sequence)
    if b and message then
      move(b, 'p')
      write_batch(b)
      redis.call('RPUSH', PENDING, message)
    end
  end
end

-- A counter; what was written over and is none any more begins at zero. The sum of two is still exact.
local function counted(key, field)
  local n = tonumber(redis.call('HGET', key, field) or '0') or 0
  return n >= 0 and n <= 2 ^ 52 and n == math.floor(n) and n or 0
end

-- The zeroes of a sweep: what failed leaves the counters, since it is handed out again.
local function reset_counters(key)
  local get = function(field) return counted(key, field) end
  local done = get('records_rewrapped') + get('records_superseded')
  local batches_done = get('batches_done')
  redis.call('HSET', key, 'records_failed', 0, 'failures_total', 0, 'records_done', int(done),
    'records_total', int(done), 'batches_total', int(batches_done), 'batches_done', int(batches_done),
    'batches_pending', 0, 'batches_leased', 0, 'batches_delayed', 0, 'batches_dead', 0,
    'records_rewrapped', int(get('records_rewrapped')),
    'records_superseded', int(get('records_superseded')))
end

-- Whether the caller still leads: a coordinator that was frozen must not go on.
local function leads(token) return redis.call('HGET', STATE, 'leader') == token end
