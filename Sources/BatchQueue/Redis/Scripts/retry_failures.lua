-- Hands all failed records of a running job out again, a row's failed columns as one batch.
-- Reply: {handed out} | 'no job'
if not running() then return 'no job' end
local rows, order = {}, {}
local cursor = '0'
repeat
  local page = redis.call('HSCAN', FAILURES, cursor, 'COUNT', 500)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local readable, f = pcall(cjson.decode, page[2][i + 1])
    if readable and type(f) == 'table' and type(f.range) == 'table' and type(f.records) == 'number' then
      local key = cjson.encode({ f.range.table, f.range.leaf, f.range.by or '', f.range.first, f.range.last })
      if not rows[key] then
        rows[key] = { range = f.range, fields = {}, records = 0 }
        order[#order + 1] = key
      end
      local row = rows[key]
      row.fields[page[2][i]] = f
    end
  end
until cursor == '0'
local handed_out = 0
for _, key in ipairs(order) do
  local row = rows[key]
  local name = row.range.table
  -- A scan may give an entry twice; fields are counted once.
  for field, f in pairs(row.fields) do
    row.records = row.records + f.records
    redis.call('HDEL', FAILURES, field)
    if f.dead then add(name, 'batches_dead', -1) add(name, 'batches_total', -1) end
  end
  for _, counter in ipairs({ 'records_failed', 'failures_total', 'records_done' }) do add(name, counter, -row.records) end
  row.range.n = row.records
  local _, message = new_batch(name, row.records, string.sub(cjson.encode(row.range), 2), 'p')
  redis.call('LPUSH', PENDING, message)
  handed_out = handed_out + row.records
end
redis.call('HSET', PROGRESS, 'updated_at', int(now()))
event('failures_retried', 'records', int(handed_out))
return { handed_out }
