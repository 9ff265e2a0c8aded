# shellcheck shell=bash disable=SC2154
# Sourced after requirements.sh: the services of the Swift tests, under the names that Tests/TestSupport/Service.swift knows.

# start_services FOLDER: a private PostgreSQL and a private Redis in it, and the programs of which tests start their own.
start_services() {
    REENCRYPT_TEST_DATABASE_URL=$("$python" scripts/support/private_postgres.py start --dir "$1/postgres" \
        --set wal_level=logical --set max_prepared_transactions=10 --set max_connections=200)
    REENCRYPT_TEST_REDIS_URL=$("$python" scripts/support/private_redis.py start --dir "$1/redis")
    REENCRYPT_TEST_REDIS_SERVER=${REENCRYPT_TEST_REDIS_SERVER:-$(command -v redis-server || command -v valkey-server)}
    REENCRYPT_TEST_PGBOUNCER=${REENCRYPT_TEST_PGBOUNCER:-$(PATH=$PATH:/usr/sbin command -v pgbouncer || true)}
    export REENCRYPT_TEST_DATABASE_URL REENCRYPT_TEST_REDIS_URL REENCRYPT_TEST_REDIS_SERVER REENCRYPT_TEST_PGBOUNCER
}

# stop_services FOLDER
stop_services() {
    "$python" scripts/support/private_redis.py stop --dir "$1/redis" || true
    "$python" scripts/support/private_postgres.py stop --dir "$1/postgres" || true
    rm -rf "$1/redis" "$1/postgres"
}

# without_services COMMAND...: what needs one of them is skipped.
without_services() {
    env -u REENCRYPT_TEST_DATABASE_URL -u REENCRYPT_TEST_REDIS_URL -u REENCRYPT_TEST_REDIS_SERVER -u REENCRYPT_TEST_PGBOUNCER "$@"
}
