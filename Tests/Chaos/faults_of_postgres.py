"""A PostgreSQL that crashes, fails over, ends sessions, cancels statements, has no disk, no standby, or no free row."""

import contextlib
import os
import random
import signal
import threading
import time

import psycopg2

from chaos_tables import TABLES
from fault import NotNow, WorkGoesOn, fault
from postgres_pair import children

STORM_ROWS = 300
NOT_OURS = "application_name NOT LIKE 'chaos%%' AND backend_type = 'client backend'"


@fault("PostgreSQL restarted (immediate)", "server", weight=2)
def restart(world, rng):
    with world.postgres_changes:
        world.pg.restart(rng.uniform(0, 2))
    return WorkGoesOn()


@fault("PostgreSQL frozen", "server")
def freeze(world, rng):
    """All its processes, as on a machine that stands still."""
    with world.postgres_changes:
        postmaster = world.pg.primary._running_pid()
        pids = [postmaster, *children(postmaster)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        time.sleep(rng.uniform(0.5, 8))
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return WorkGoesOn()


@fault("PostgreSQL failed over to its standby", "server")
def fail_over(world, rng):
    if not world.pg.has_standby.is_set():
        raise NotNow("there is no standby")
    with world.postgres_changes:
        # Everything that anybody may have seen as committed is there.
        world.pg.wait_until_standby_has_all()
        world.pg.promote()
        world.board.retarget("postgres", world.pg.primary.port)
        since = WorkGoesOn()
    world.in_background(world.rebuild_standby)
    return since


@fault("sessions ended (pg_terminate_backend)", "server", weight=2)
def terminate(world, rng):
    world.pg.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {NOT_OURS} AND random() < %s",
                  (rng.choice([0.3, 0.7, 1.0]),))  # fmt: skip
    return WorkGoesOn()


@fault("statements cancelled", "single", fails_records=True)
def cancel(world, rng):
    """57014, as a statement time-out or an administrator gives it. The application's are left alone."""
    for _ in range(rng.randrange(1, 15)):
        world.pg.rows(
            f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {NOT_OURS} AND state = 'active' "
            "AND application_name NOT LIKE 'application%%'"
        )
        time.sleep(rng.uniform(0, 0.1))


@fault("statement time-out of the database", "server", fails_records=True)
def time_out(world, rng):
    """Every new session begins with a time-out of a millisecond; sessions are ended, so that there are new ones."""
    world.pg.execute("ALTER DATABASE chaos SET statement_timeout = '1ms'")
    try:
        world.pg.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {NOT_OURS} "
                      "AND application_name NOT LIKE 'application%%'")  # fmt: skip
        time.sleep(rng.uniform(0.5, 3))
    finally:
        world.pg.execute("ALTER DATABASE chaos RESET statement_timeout")
    return WorkGoesOn()


@fault("rows locked by an application", "single", weight=2)
def lock_storm(world, rng):
    """Several sessions, each with some hundred rows, for up to three seconds."""

    def hold(seed):
        own = random.Random(seed)
        table = own.choice(TABLES).name
        try:
            connection = world.pg.connect(application_name="chaos storm")
            connection.autocommit = False
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT 1 FROM {table} WHERE random() < 0.2 LIMIT {STORM_ROWS} FOR UPDATE SKIP LOCKED"
                )
                time.sleep(own.uniform(0.1, 3))
            connection.close()
        except psycopg2.Error:
            pass

    threads = [threading.Thread(target=hold, args=(rng.random(),), daemon=True) for _ in range(rng.randrange(2, 6))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


@fault("table locked (ACCESS EXCLUSIVE)", "server")
def lock_table(world, rng):
    connection = world.pg.connect()
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            # Whoever waits for a table makes everybody wait behind it; the verifier keeps its reader's locks.
            cursor.execute("SET LOCAL lock_timeout = '3s'")
            cursor.execute(f"LOCK TABLE {rng.choice(TABLES).name} IN ACCESS EXCLUSIVE MODE")
            time.sleep(rng.uniform(0.3, 3))
    finally:
        connection.close()
    return WorkGoesOn()


@fault("deadlock among applications", "single")
def deadlock(world, rng):
    """Two sessions that lock each other's rows, on a page that the workers write to. One of them is told so."""
    first, second = rng.sample(world.own_rows, 2)
    told = []

    def cross(one, other):
        try:
            connection = world.pg.connect(application_name="chaos deadlock")
            connection.autocommit = False
            with connection.cursor() as cursor:
                for identity in (one, other):
                    cursor.execute("UPDATE providers SET note = 'crossed' WHERE id = %s", (identity,))
                    time.sleep(0.3)
            connection.close()
        except psycopg2.Error as error:
            told.append(error.pgcode)

    threads = [threading.Thread(target=cross, args=pair, daemon=True) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if "40P01" not in told:
        raise NotNow(f"the two did not meet: {told}")


@fault("disk full", "server")
def fill_disk(world, rng):
    if not world.pg.has_small_tablespace:
        raise NotNow("no small file system")
    with world.postgres_changes:
        with world.pg.full_tablespace():
            time.sleep(rng.uniform(0.5, 4))
    return WorkGoesOn()


@fault("synchronous standby missing", "server")
def miss_standby(world, rng):
    """Every COMMIT hangs with its rows locked, until the setting is corrected."""
    if not world.pg.has_standby.is_set():
        raise NotNow("there is no standby")
    with world.postgres_changes, world.pg.requirement:
        world.pg.require_standby("absent")
        try:
            time.sleep(rng.uniform(0.5, 5))
            world.operator.expect_refusal("synchronous standby missing", world.direct_url, "synchronous_standby_names")
        finally:
            world.pg.require_standby("*")
            # Commits that hang are let go when the standby speaks next, which it does when there is WAL.
            world.pg.execute("SELECT pg_switch_wal()")
    return WorkGoesOn()
