"""`--order physical`: ranges lie between places in the table's file, and rows that move are caught by sweeps."""

import json
import os
import pathlib
import re
import tempfile

import pytest

from envelope_reference import seal
from private_postgres import PrivatePostgres
from private_server import scratch_parent
from support.isolated_database import IsolatedDatabase
from support.resp_proxy import RespProxy
from support.rotation_tool import RotationTool
from support.secrets_table import SecretsTable
from support.waiting import wait_until

PLACE = re.compile(r"\((\d+),(\d+)\)")
PHYSICAL = ("--order", "physical")


def pending(queue) -> list:
    return [json.loads(message) for message in queue.redis.command("LRANGE", queue.key("pending"), 0, -1)]


def enumerated(queue_tool, queue, *arguments):
    """A coordinator that has enumerated everything, and no worker yet."""
    coordinator = queue_tool.coordinator(*PHYSICAL, *arguments)
    queue.wait_for_state("draining")
    return coordinator


def fill_the_last_block(table):
    """With rows that hold no secret: what moves from now on goes behind the end that the enumeration saw."""
    table.database.execute(f"INSERT INTO {table.sql_name} SELECT -n FROM generate_series(1, 400) AS s (n)")


def move_all(table):
    """Every row to another place, by no change of its value."""
    table.database.execute(
        f"WITH moved AS (DELETE FROM {table.sql_name} WHERE id >= 0 RETURNING *) "
        f"INSERT INTO {table.sql_name} SELECT * FROM moved"
    )


def test_ranges_are_blocks(database, queue, queue_tool, table, kek_v2):
    """In order, of the size that was asked for, and with the numbers of what they hold."""
    coordinator = enumerated(queue_tool, queue, "--batch-size", 100)
    blocks = database.value(f"SELECT pg_relation_size('{table.sql_name}') / 8192")
    ranges = list(reversed(pending(queue)))
    held = 0
    next_block = 0
    for message in ranges:
        assert message["by"] == "blocks"
        (first,), (last,) = message["first"], message["last"]
        (low, zero), (high, end) = (map(int, PLACE.fullmatch(text).groups()) for text in (first, last))
        assert (zero, end) == (0, 65535)
        assert next_block <= low <= high < blocks
        assert message["rows"] <= 100
        stored = database.value(
            f"SELECT count(*) FROM {table.sql_name} WHERE ctid >= '{first}' AND ctid <= '{last}'"
        )
        assert message["n"] == message["rows"] == stored
        next_block, held = high + 1, held + message["n"]
    assert held == 2_000
    # The last range of each page may be short; pages are of 16, 32, … blocks.
    assert sum(message["rows"] <= 50 for message in ranges) <= 3
    queue_tool.worker("--exit-when-done")
    coordinator.wait(60).expect(0)
    progress = queue.progress()
    assert (progress["records_rewrapped"], progress["records_superseded"], progress["sweep"]) == (2_000, 0, 1)
    table.assert_opens_with(kek_v2)


def test_values_that_sql_cannot_vouch_for_are_counted_by_parsing(database, queue, queue_tool, kek_v1, kek_v2):
    """Old ones in a stranger's spelling, and current ones, which belong to no range."""
    table = SecretsTable(database, column_type="text").create()
    queue_tool.tool.write_catalog(table)

    def spaced(kek, number):
        sealed = seal(kek, f"secret-of-{number}".encode())
        return sealed.text.replace("{", "{ ", 1)

    entries = [(n, spaced(kek_v1 if n % 3 else kek_v2, n)) for n in range(900)]
    table.insert(entries)
    coordinator = enumerated(queue_tool, queue)
    assert queue.progress()["records_total"] == sum(message["n"] for message in pending(queue)) == 600
    queue_tool.worker("--exit-when-done")
    coordinator.wait(60).expect(0)
    assert queue.progress()["records_rewrapped"] == 600


def test_another_coordinator_goes_on_at_the_block(queue, queue_tool, table, kek_v2):
    """In the order that the leaf was begun in, whatever this one would choose; no range twice, none left out."""
    pushes = []

    def hold_the_second_push(request):
        if request.name == "enqueue":
            pushes.append(request)
            if len(pushes) == 2:
                first.kill()

    with RespProxy(queue.server.port, hold_the_second_push) as proxy:
        first = queue_tool.coordinator(*PHYSICAL, "--batch-size", 1, redis_port=proxy.port)
        wait_until(lambda: len(pushes) == 2 and not first.is_running(), "the first one is killed")
        cursor = json.loads(pushes[0].arguments[3])
        assert cursor["by"] == "blocks" and cursor["after"] == ["(15,65535)"]
    wait_until(lambda: queue.progress().get("batches_total") in (16, 48), "one push has arrived, or both")
    handed_out = {tuple(message["first"]) for message in pending(queue)}
    second = queue_tool.coordinator("--batch-size", 1)
    queue.wait_for_state("draining")
    ranges = pending(queue)
    firsts = [tuple(message["first"]) for message in ranges]
    assert handed_out < set(firsts) and len(set(firsts)) == len(firsts)
    assert all(message["by"] == "blocks" for message in ranges)
    assert sum(message["n"] for message in ranges) == 2_000
    queue_tool.worker("--exit-when-done")
    second.wait(60).expect(0)
    assert queue.progress()["records_rewrapped"] == 2_000
    table.assert_opens_with(kek_v2)


def test_rows_that_all_moved_are_found_by_the_next_sweep(queue, queue_tool, table, kek_v2):
    fill_the_last_block(table)
    coordinator = enumerated(queue_tool, queue, "--batch-size", 100)
    move_all(table)
    queue_tool.worker("--exit-when-done")
    coordinator.wait(60).expect(0)
    progress = queue.progress()
    assert (progress["records_rewrapped"], progress["records_superseded"], progress["sweep"]) == (2_000, 2_000, 2)
    assert progress["records_done"] == progress["records_total"] == 4_000
    table.assert_opens_with(kek_v2)


def test_rows_that_move_ahead_of_every_sweep_are_taken_by_their_keys(queue, queue_tool, table, kek_v2):
    """A sweep that left as many as it found is followed by one in key order, which nothing escapes."""
    fill_the_last_block(table)
    moved = set()

    def move_first(request):
        if request.name != "claim":
            return
        progress = queue.progress()
        sweep = progress.get("sweep")
        if progress.get("state") in ("enumerating", "draining") and sweep and sweep not in moved:
            wait_until(lambda: queue.progress()["state"] == "draining", "all ranges are handed out")
            fill_the_last_block_again(table, sweep)
            move_all(table)
            moved.add(sweep)

    coordinator = enumerated(queue_tool, queue, "--batch-size", 100)
    with RespProxy(queue.server.port, move_first) as proxy:
        queue_tool.worker("--concurrency", 1, redis_port=proxy.port)
        outcome = coordinator.wait(60).expect(0)
    assert moved == {1, 2}
    assert "key order" in outcome.stderr
    table.assert_opens_with(kek_v2)


def fill_the_last_block_again(table, sweep):
    table.database.execute(
        f"INSERT INTO {table.sql_name} SELECT -1000 * %s - n FROM generate_series(1, 400) AS s (n)", (sweep,)
    )


def test_a_table_that_shrinks_meanwhile(database, queue, queue_tool, table, kek_v2):
    """VACUUM gives the end of the file back; ranges that lay there hold nothing any more."""
    coordinator = enumerated(queue_tool, queue, "--batch-size", 100)
    before = database.value(f"SELECT pg_relation_size('{table.sql_name}')")
    database.execute(f"DELETE FROM {table.sql_name} WHERE id >= 1000")
    connection = database.connect()
    connection.autocommit = True
    connection.cursor().execute(f"VACUUM (TRUNCATE true) {table.sql_name}")
    assert database.value(f"SELECT pg_relation_size('{table.sql_name}')") < 0.7 * before
    queue_tool.worker("--exit-when-done")
    coordinator.wait(60).expect(0)
    progress = queue.progress()
    assert (progress["records_rewrapped"], progress["records_superseded"]) == (1_000, 1_000)
    assert database.value(f"SELECT count(*) FROM {table.sql_name}") == 1_000


def test_failed_records_are_handed_out_again_by_their_ids(database, queue, queue_tool, kek_v1, kek_v2):
    """A row moves when it is mended; its place would lead nowhere."""
    table = SecretsTable(database).create()
    table.fill(kek_v1, range(300)).insert([(500, "no envelope")])
    queue_tool.tool.write_catalog(table)
    holder = database.connect()
    coordinator = enumerated(queue_tool, queue, "--batch-size", 50)
    holder.cursor().execute(f"SELECT FROM {table.sql_name} WHERE id = 7 FOR UPDATE")  # keeps the job going
    queue_tool.worker()
    wait_until(lambda: queue.failures(), "the record has failed")
    ((name, entry),) = queue.failures().items()
    assert name == (table.catalog_name, "500", table.column)
    assert entry["range"]["first"] == entry["range"]["last"] == ["500"] and "by" not in entry["range"]
    mended = seal(kek_v1, b"mended")
    database.execute(f"DELETE FROM {table.sql_name} WHERE id = 500")
    table.insert([(500, mended)])
    queue_tool.command("failures retry").expect(0)
    wait_until(lambda: queue.progress()["records_failed"] == 0, "it is handed out again")
    wait_until(lambda: queue.progress()["records_rewrapped"] == 300, "it is rewrapped")
    holder.rollback()
    coordinator.wait(60).expect(0)
    assert queue.progress()["sweep"] == 1
    table.assert_opens_with(kek_v2)


def test_a_row_that_the_server_refuses_is_found_by_splitting(database, tool, kek_v1, kek_v2):
    """A range of many rows of which one cannot be stored: the others are done, the report names its id."""
    table = SecretsTable(database, column_type="text").create().fill(kek_v1, range(500))
    database.execute(
        f"ALTER TABLE {table.sql_name} ADD CHECK (id <> 321 OR api_key_encrypted LIKE '%%kek-v1%%')"
    )
    tool.write_catalog(table)
    report = tool.run(*PHYSICAL, "--batch-size", 200).expect(2).report
    assert [failure["id"] for failure in report["failures"]] == ["321"]
    assert report["records"]["rewrapped"] == 499


@pytest.fixture(scope="module")
def small_buffers():
    """A server whose buffers are smaller than a table of a few thousand rows."""
    with tempfile.TemporaryDirectory(prefix="reencrypt-order-", dir=scratch_parent()) as directory:
        os.chmod(directory, 0o755)
        with PrivatePostgres(pathlib.Path(directory) / "pg", {"fsync": "off", "shared_buffers": "1MB"}) as server:
            yield server


@pytest.fixture
def crowded(small_buffers):
    database = IsolatedDatabase(small_buffers)
    yield database
    database.drop()


LEAVES = {"random": 6_000, "ordered": 6_000, "unknown": 6_000, "small": 100}


def test_auto_decides_leaf_by_leaf_and_says_why(crowded, tmp_path, kek_v1, kek_v2):
    envelope = seal(kek_v1, b"x" * 60).text
    crowded.execute(
        "CREATE TABLE secrets (id uuid, kind text, secret text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);"
        + "".join(f"CREATE TABLE {name} PARTITION OF secrets FOR VALUES IN ('{name}');" for name in LEAVES)
    )
    ids = {"ordered": "lpad(to_hex(n), 32, '0')::uuid"}
    for name, rows in LEAVES.items():
        crowded.execute(
            f"INSERT INTO secrets SELECT {ids.get(name, 'gen_random_uuid()')}, %s, %s "
            f"FROM generate_series(1, %s) AS s (n)",
            (name, envelope, rows),
        )
    crowded.execute("ALTER TABLE unknown SET (autovacuum_enabled = off)")
    for name in set(LEAVES) - {"unknown"}:
        crowded.execute(f"ANALYZE {name}")
    tool = RotationTool(tmp_path, crowded.url, kek_v2, [kek_v1])
    tool.write_catalog({"name": "secrets", "id_column": ["id", "kind"], "encrypted_columns": ["secret"]})
    outcome = tool.run("--order", "auto").expect(0)
    said = dict(re.findall(r'Order of "public"\."(\w+)": (.*)', outcome.stderr))
    assert set(said) == set(LEAVES)
    assert said["random"].startswith("physical (id is random on disk")
    assert said["ordered"].startswith("key (id follows the order on disk")
    assert said["small"].startswith("key (it fits into the server's buffers")
    assert said["unknown"].startswith("key (there are no statistics of id, which ANALYZE would gather")
    assert outcome.report["records"]["rewrapped"] == sum(LEAVES.values())
