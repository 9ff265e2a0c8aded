-- Replaces the census that dashboards show.
-- ARGV: token, then for each group field, records
-- Reply: 'ok' | 'not leader'
if not leads(ARGV[1]) then return 'not leader' end
redis.call('DEL', P .. 'census')
for i = 2, #ARGV, 2 do redis.call('HSET', P .. 'census', ARGV[i], ARGV[i + 1]) end
return 'ok'
