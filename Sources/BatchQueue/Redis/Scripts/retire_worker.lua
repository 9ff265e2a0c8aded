-- Takes a worker that ends out of the list of workers.
-- ARGV: worker
-- Reply: 'ok'
redis.call('ZREM', WORKERS, ARGV[1])
redis.call('DEL', P .. 'worker:' .. ARGV[1])
return 'ok'
