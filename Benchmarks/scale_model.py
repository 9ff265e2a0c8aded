"""What bounds a rotation of many rows over many workers and databases, and how long it takes.

A model from measured costs (`Costs`, each with where it was measured): the rate of one database is the smallest of what
its cores, its WAL, its lanes and the coordinator's enumeration allow; all databases share the Redis servers. It says
which bound it is, the time, the WAL, the load of Redis, and how many wraps fall to one KEK.

    scale_model.py [--rows 1e10] [--databases 12] [--workers 100] [--lanes 2] [--batch-size 1000] [--cores 16]
                   [--wal-mb-s 200] [--round-trip-ms 0.5] [--key-order physical|random] [--redis 1] [--share 0.65] [--json]

`--rows` are those of all databases together, one old record each; `--workers` processes in all. `--share` is the part of
the server's cores that the application leaves, or that it is willing to give.
"""

import argparse
import dataclasses
import json

NONCE_BOUND = 2**32  # NIST SP 800-38D, 8.3: random 96-bit nonces under one key, by all its writers
NONCE_WARNING = 2**31


@dataclasses.dataclass(frozen=True)
class Costs:
    """331-byte envelopes in bytea, fillfactor 100, one index. Microseconds are of one core of a two-core machine."""

    # scripts/bench: statements of a rotation by pg_stat_statements
    server_update_us_a_row: float = 5.8
    server_lock_us_a_row: float = 2.0
    server_transaction_us_a_batch: float = 290
    server_enumerate_us_a_row: float = 0.72
    server_census_us_a_row: float = 0.28  # each of two: before and after
    client_us_a_row: float = 2.5
    wal_bytes_a_row: float = 1_050
    wal_bytes_a_row_random: float = 4_330  # key order over random keys, checkpoints: a full page a row
    commit_ms: float = 1.0
    # queue_scale.py: microseconds of Redis by itself, and of its input and output a call
    redis_enqueue_us: float = 5.3
    redis_claim_us: float = 24
    redis_acknowledge_us: float = 24
    redis_heartbeat_us: float = 19
    redis_call_io_us: float = 16
    heartbeat_seconds: float = 10


@dataclasses.dataclass(frozen=True)
class Site:
    rows: float = 1e10
    databases: int = 12
    workers: int = 100
    lanes: int = 2
    batch_size: int = 1_000
    cores: int = 16
    share: float = 0.65
    wal_mb_s: float = 200
    round_trip_ms: float = 0.5
    key_order: str = "physical"
    redis: int = 1


def predict(site: Site, costs: Costs = Costs()) -> dict:
    rows = site.rows / site.databases
    lanes = site.workers * site.lanes / site.databases
    per_batch = costs.server_transaction_us_a_batch / site.batch_size
    in_lane_us = costs.server_update_us_a_row + costs.server_lock_us_a_row + per_batch
    server_us = in_lane_us + costs.server_enumerate_us_a_row
    # A lane's batch: its statements one after the other, two round trips to PostgreSQL, two to Redis, one commit.
    batch_ms = site.batch_size * (in_lane_us + costs.client_us_a_row) / 1000 + 4 * site.round_trip_ms + costs.commit_ms
    wal = costs.wal_bytes_a_row_random if site.key_order == "random" else costs.wal_bytes_a_row
    redis_us_a_batch = (
        costs.redis_enqueue_us + costs.redis_claim_us + costs.redis_acknowledge_us + 2 * costs.redis_call_io_us
    )
    beats = site.workers * (costs.redis_heartbeat_us + costs.redis_call_io_us) / costs.heartbeat_seconds / 1e6
    batches_of_redis = site.redis * (1 - beats / site.redis) * 1e6 / redis_us_a_batch
    bounds = {
        "server's cores": site.cores * site.share * 1e6 / server_us,
        "WAL": site.wal_mb_s * 1e6 / wal,
        "lanes": lanes * site.batch_size * 1000 / batch_ms,
        "enumeration": 1e6 / costs.server_enumerate_us_a_row,
        "Redis": batches_of_redis * site.batch_size / site.databases,
    }
    bound = min(bounds, key=bounds.get)
    rate = bounds[bound]
    census_s = rows * costs.server_census_us_a_row / 1e6
    batches = rate * site.databases / site.batch_size
    return {
        "bounds_rows_per_second": bounds,
        "bound": bound,
        "rows_per_second": rate,
        "rows_per_second_in_all": rate * site.databases,
        "hours": (rows / rate + 2 * census_s) / 3600,
        "wal_tb_a_database": rows * wal / 1e12,
        "batches_per_second": batches,
        "redis_batches_per_second": batches_of_redis,
        "redis_load": batches / batches_of_redis,
        "lanes_that_pay": min(bounds[name] for name in bounds if name != "lanes") * batch_ms / 1000 / site.batch_size,
        "wraps_under_one_kek": rows,
        "kek_of_each_database_is_enough": rows < NONCE_WARNING,
        "keks_in_all": int(-(-site.rows // NONCE_WARNING)),
    }


def show(site: Site, figures: dict):
    print(f"{site.rows:.3g} rows over {site.databases} databases, {site.workers} workers of {site.lanes} lanes, "
          f"batches of {site.batch_size}, keys on disk: {site.key_order}")  # fmt: skip
    print("rows a second of one database, by what bounds them:")
    for name, rate in sorted(figures["bounds_rows_per_second"].items(), key=lambda item: item[1]):
        print(f"  {name:15} {rate:>12,.0f}{'   <- the bound' if name == figures['bound'] else ''}")
    print(f"in all {figures['rows_per_second_in_all']:,.0f} rows/s: {figures['hours']:.1f} hours, "
          f"{figures['wal_tb_a_database']:.2f} TB of WAL a database")  # fmt: skip
    print(f"Redis: {figures['batches_per_second']:,.0f} of {figures['redis_batches_per_second']:,.0f} batches/s "
          f"({100 * figures['redis_load']:.0f} %)")  # fmt: skip
    print(f"lanes a database that pay: {figures['lanes_that_pay']:.0f}")
    if figures["kek_of_each_database_is_enough"]:
        print(f"a KEK of its own a database: {figures['wraps_under_one_kek']:.3g} wraps, below 2^31")
    else:
        print(f"{figures['wraps_under_one_kek']:.3g} wraps a database are too many for one KEK; ", end="")
    print(f"one KEK for all would be {site.rows / NONCE_BOUND:.2g} times 2^32: at least {figures['keks_in_all']} are needed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in dataclasses.fields(Site):
        number = (lambda text: int(float(text))) if field.type is int else field.type
        parser.add_argument("--" + field.name.replace("_", "-"), type=number, default=field.default)
    for field in dataclasses.fields(Costs):
        parser.add_argument("--cost-" + field.name.replace("_", "-"), type=float, default=field.default,
                            help=argparse.SUPPRESS)  # fmt: skip
    parser.add_argument("--json", action="store_true")
    options = vars(parser.parse_args())
    site = Site(**{field.name: options[field.name] for field in dataclasses.fields(Site)})
    costs = Costs(**{field.name: options["cost_" + field.name] for field in dataclasses.fields(Costs)})
    figures = predict(site, costs)
    if options["json"]:
        print(json.dumps(figures))
    else:
        show(site, figures)


if __name__ == "__main__":
    main()
