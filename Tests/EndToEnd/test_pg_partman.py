"""pg_partman adds partitions to a table, and detaches or drops old ones, while a job is at work on it."""

import psycopg2
import pytest
from psycopg2 import Binary

from envelope_reference import key_id, seal
from support.lies import expect_truth
from support.queue_process import QueueTool, wait_until_ready
from support.waiting import wait_until

PARTITION = 100
RECORDS = 600
# An application holds it, so that the job does not end before its partitions have changed.
HELD = RECORDS - 1
# What an application writes in mid-job: partitions run ahead of the largest id, and old ones fall behind it.
LATER = range(RECORDS, RECORDS + 2 * PARTITION)


@pytest.fixture
def secrets(database, tool, kek_v1):
    try:
        database.execute("CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman")
    except psycopg2.errors.FeatureNotSupported:
        pytest.skip("pg_partman is not built for this PostgreSQL")
    database.execute(
        "CREATE TABLE secrets (id bigint NOT NULL PRIMARY KEY, secret bytea) PARTITION BY RANGE (id);"
        "SELECT partman.create_parent('public.secrets', 'id', 'native', %s, p_premake := 2, p_start_partition := '0')",
        (str(PARTITION),),
    )
    for start in range(0, RECORDS, PARTITION):
        insert(database, range(start, start + PARTITION), kek_v1)
        maintain(database)
    tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
    return parts(database)


def insert(database, ids, kek):
    with database.transaction() as cursor:
        for number in ids:
            value = Binary(seal(kek, b"value %d" % number).bytes)
            cursor.execute("INSERT INTO secrets VALUES (%s, %s)", (number, value))


def maintain(database):
    database.rows("SELECT partman.run_maintenance('public.secrets', p_jobmon := false)")


def keys_in(database, name="secrets") -> set:
    return {key_id(bytes(value)) for (value,) in database.rows(f"SELECT secret FROM {name}")}


def parts(database) -> set:
    return {
        name for (name,) in database.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'secrets'::regclass"
        )
    }  # fmt: skip


def values(database) -> list:
    return [value for (value,) in database.rows("SELECT secret FROM secrets")]


# What retention does to the partitions that fall behind; without it new ones come and all stay.
KINDS = {
    "new partitions": None,
    "old partitions are dropped": "retention = '400', retention_keep_table = false",
    "old partitions are detached": "retention = '400', retention_keep_table = true",
}


@pytest.mark.parametrize("written_under", ["the old key", "the new key"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["run", "coordinator"])
def test_partitions_change_in_mid_job(request, database, tool, secrets, kek_v1, kek_v2, kind, way, written_under):
    if KINDS[kind]:
        database.execute(f"UPDATE partman.part_config SET {KINDS[kind]} WHERE parent_table = 'public.secrets'")
    application = database.connect()
    with application.cursor() as cursor:
        # Of the partition alone: a lock on the parent would make the maintenance wait.
        cursor.execute("SELECT FROM secrets_p500 WHERE id = %s FOR UPDATE", (HELD,))
    workers = []
    if way == "run":
        process = tool.start_run("--batch-size", 20)
    else:
        queue_tool = QueueTool(tool, request.getfixturevalue("queue"))
        workers.append(queue_tool.worker("--exit-when-done"))
        wait_until_ready(workers)
        process = queue_tool.coordinator("--batch-size", 20)
    under_v2 = "SELECT count(*) FROM secrets WHERE position('\"kek-v2\"'::bytea IN secret) > 0"
    wait_until(lambda: database.value(under_v2) > 200 or not process.is_running(), "some rows are done")
    assert process.is_running(), str(process.wait())

    insert(database, LATER, kek_v1 if written_under == "the old key" else kek_v2)
    maintain(database)
    now = parts(database)
    assert now - secrets, "no partition has come"
    assert bool(secrets - now) == bool(KINDS[kind]), "partitions went, or stayed"
    application.rollback()

    outcome = process.wait(60)
    # 1 is for what could not be run at all; this one was under way.
    expect_truth(
        outcome.expect(0, 2), values(database), kek_v2,
        words=[*(f"{name} was attached" for name in now - secrets),
               *(f"{name} was detached or dropped" for name in secrets - now)],
    )  # fmt: skip
    for worker in workers:
        worker.wait(30).expect(outcome.exit_code)
    if outcome.exit_code != 0:
        tool.run().expect(0)
    assert keys_in(database) == {"kek-v2"}
