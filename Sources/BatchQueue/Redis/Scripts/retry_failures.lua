-- Hands failed records of a running job out again, some at a time.
-- ARGV: most records
-- Reply: {handed out, left} | 'no job'
if not running() then return 'no job' end
local handed_out = 0
local cursor = '0'
repeat
  local page = redis.call('HSCAN', FAILURES, cursor, 'COUNT', 200)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local field, f = page[2][i], cjson.decode(page[2][i + 1])
    if redis.call('HEXISTS', FAILURES, field) == 1 then
      redis.call('HDEL', FAILURES, field)
      if f.dead then add(f.range.table, 'batches_dead', -1) add(f.range.table, 'batches_total', -1) end
      for _, name in ipairs({ 'records_failed', 'failures_total', 'records_done' }) do
        add(f.range.table, name, -f.records)
      end
      local _, message = new_batch(f.range.table, f.records, string.sub(cjson.encode(f.range), 2), 'p')
      redis.call('LPUSH', PENDING, message)
      handed_out = handed_out + f.records
    end
    if handed_out >= tonumber(ARGV[1]) then break end
  end
until cursor == '0' or handed_out >= tonumber(ARGV[1])
redis.call('HSET', PROGRESS, 'updated_at', int(now()))
event('failures_retried', 'records', int(handed_out))
return { handed_out, redis.call('HLEN', FAILURES) }
