"""A worker proves that its keys, catalog and database are the job's before its first write."""

from envelope_reference import KeyEncryptionKey
from support.isolated_database import IsolatedDatabase
from support.secrets_table import SecretsTable
from support.waiting import wait_until

SMALL = ("--batch-size", 20)


def assert_refused(queue_tool, queue, table, wrong, *words):
    """The wrong worker has the queue to itself and writes nothing; then a right one does the job."""
    before = table.versions()
    coordinator = queue_tool.coordinator(*SMALL)
    queue.wait_for_state("draining")
    outcome = wrong.worker().wait(15).expect_refusal("refused", *words)
    assert table.versions() == before, "a refused worker has written"
    assert queue.progress()["records_done"] == 0
    assert queue.leases() == []
    # And beside a right one.
    right = queue_tool.worker("--exit-when-done")
    again = wrong.worker()
    coordinator.wait().expect(0)
    right.wait(20).expect(0)
    again.kill()
    progress = queue.progress()
    assert progress["records_rewrapped"] == progress["records_total"]
    assert progress["records_failed"] == 0
    return outcome


def test_other_bytes_under_the_targets_id(queue, queue_tool, make_queue_tool, table, kek_v1, kek_v2):
    impostor = KeyEncryptionKey.generate("kek-v2")
    wrong = make_queue_tool(primary=impostor)
    wrong.tool.write_catalog(table)
    outcome = assert_refused(queue_tool, queue, table, wrong, "differs", kek_v2.check_value, impostor.check_value)
    assert impostor.setting.split(":")[1] not in outcome.output
    table.assert_opens_with(kek_v2)


def test_other_bytes_under_a_former_keys_id(queue, queue_tool, make_queue_tool, table, kek_v2):
    wrong = make_queue_tool(previous=[KeyEncryptionKey.generate("kek-v1")])
    wrong.tool.write_catalog(table)
    assert_refused(queue_tool, queue, table, wrong, "differs", "kek-v1")
    table.assert_opens_with(kek_v2)


def test_a_missing_former_key(queue, queue_tool, make_queue_tool, table, kek_v2):
    wrong = make_queue_tool(previous=[])
    wrong.tool.write_catalog(table)
    assert_refused(queue_tool, queue, table, wrong, "kek-v1", "not configured")
    table.assert_opens_with(kek_v2)


def test_another_target(queue, queue_tool, back, table, kek_v2):
    assert_refused(queue_tool, queue, table, back, "differs", "kek-v2", "kek-v1")
    table.assert_opens_with(kek_v2)


def test_another_catalog(database, queue, queue_tool, make_queue_tool, table, kek_v1, kek_v2):
    more = SecretsTable(database, name="webhooks").create().fill(kek_v1, range(5))
    wrong = make_queue_tool()
    wrong.tool.write_catalog(table, more)
    assert_refused(queue_tool, queue, table, wrong, "catalog", "differs")
    assert more.count_under(kek_v1) == 5
    table.assert_opens_with(kek_v2)


def test_another_database(server, database, queue, queue_tool, make_queue_tool, table, kek_v1, kek_v2):
    other = IsolatedDatabase(server)
    try:
        twin = SecretsTable(other).create().fill(kek_v1, range(50))
        wrong = make_queue_tool(database_url=other.url)
        wrong.tool.write_catalog(table)
        assert_refused(queue_tool, queue, table, wrong, "database", "differs")
        twin.assert_opens_with(kek_v1)
        wrong.tool.kill_all()
    finally:
        other.drop()
    table.assert_opens_with(kek_v2)


def test_right_and_wrong_together_from_the_start(queue, queue_tool, make_queue_tool, table, kek_v2):
    """Both wait for the job, and see it at the same time."""
    wrong = make_queue_tool(primary=KeyEncryptionKey.generate("kek-v2"))
    wrong.tool.write_catalog(table)
    impostor = wrong.worker()
    right = queue_tool.worker("--exit-when-done")
    wait_until(lambda: "Connected to database" in impostor.stderr_so_far(), "the wrong one waits")
    coordinator = queue_tool.coordinator(*SMALL)
    coordinator.wait().expect(0)
    impostor.wait(20).expect_refusal("refused", "differs")
    right.wait(20).expect(0)
    table.assert_opens_with(kek_v2)
    assert queue.progress()["records_rewrapped"] == len(table.sealed)


def test_a_database_that_was_made_again(database, queue_tool, table, kek_v1):
    """The same name on the same server: the job on the queue is another database's."""
    coordinator = queue_tool.coordinator()
    queue_tool.queue.wait_for_state("enumerating", "draining")
    coordinator.kill()
    with database._maintenance() as cursor:
        cursor.execute(f"DROP DATABASE {database.name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {database.name} TEMPLATE template0")
    again = SecretsTable(database).create().fill(kek_v1, range(5))
    queue_tool.coordinator().wait().expect_refusal("differs", "made again", "cancel")
    queue_tool.worker("--exit-when-done").wait().expect_refusal("differs", "made again")
    assert again.count_under(kek_v1) == 5
