"""pg_repack gives a table another file, with all rows in other places, while a job or a census is at work on it."""

import subprocess

import pytest

from envelope_reference import seal
from support.lies import expect_truth
from private_postgres import SUPERUSER, postgres_bin_directory
from support.queue_process import QueueTool, wait_until_ready
from support.secrets_table import SecretsTable
from support.statement_gate import StatementGate
from support.waiting import wait_until

RECORDS = 4_000
# Slow enough for a repack, which takes half a second, to begin and end in mid-job.
SLOW = ("--batch-size", 20, "--max-records-per-second", 1_000)

pytestmark = pytest.mark.skipif(
    not (postgres_bin_directory() / "pg_repack").exists(), reason="pg_repack is not built for this PostgreSQL"
)


@pytest.fixture
def table(database, tool, kek_v1):
    database.execute("CREATE EXTENSION pg_repack")
    table = SecretsTable(database).create().fill(kek_v1, range(RECORDS))
    tool.write_catalog(table)
    return table


def start_repack(server, database, *options, stdout=subprocess.PIPE) -> subprocess.Popen:
    return subprocess.Popen(
        [
            server.bin / "pg_repack", "--host", server.socket_directory, "--port", str(server.port),
            "--username", SUPERUSER, "--dbname", database.name, "--table", "public.llm_providers", *options,
        ],
        stdout=stdout, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def repack(server, database, *options):
    expect_repacked(start_repack(server, database, *options))


def expect_repacked(process, timeout=60):
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0 and "WARNING" not in output, output


def file_of(database) -> int:
    return database.value("SELECT relfilenode FROM pg_class WHERE oid = 'llm_providers'::regclass")


def converge(outcome, tool, table, kek_v2):
    """0 with every row under the new key; or a clear end, and 0 with every row at the next run."""
    expect_truth(outcome, table.stored().values(), kek_v2, words=["llm_providers"])
    if outcome.exit_code != 0:
        assert outcome.report["outcome"] != "complete"
        tool.run().expect(0)
    assert table.key_ids() == {"kek-v2": RECORDS}
    table.assert_opens_with(kek_v2)


def wait_until_under_way(table, process, kek_v2):
    wait_until(lambda: table.count_under(kek_v2) > 100 or not process.is_running(), "some rows are under the new key")


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("options", [[], ["--no-order"]], ids=["in order of the key", "as they lie"])
def test_a_table_is_repacked_in_mid_job(server, database, tool, table, kek_v2, options):
    before = file_of(database)
    run = tool.start_run(*SLOW)
    wait_until_under_way(table, run, kek_v2)
    repack(server, database, *options)
    assert file_of(database) != before
    assert run.is_running() and table.count_under(kek_v2) < RECORDS, "the repack was to end in mid-job"
    converge(run.wait(90), tool, table, kek_v2)


def test_a_table_is_repacked_under_a_coordinator(server, database, queue, tool, table, kek_v2):
    queue_tool = QueueTool(tool, queue)
    workers = [queue_tool.worker("--concurrency", 1, "--exit-when-done") for _ in range(2)]
    wait_until_ready(workers)
    coordinator = queue_tool.coordinator(*SLOW)
    wait_until_under_way(table, coordinator, kek_v2)
    repack(server, database)
    assert coordinator.is_running() and table.count_under(kek_v2) < RECORDS, "the repack was to end in mid-job"
    outcome = coordinator.wait(90)
    expect_truth(outcome, table.stored().values(), kek_v2, words=["llm_providers"])
    for worker in workers:
        worker.wait(30).expect(outcome.exit_code)
    if outcome.exit_code != 0:
        tool.run().expect(0)
    assert table.key_ids() == {"kek-v2": RECORDS}
    queue_tool.verify().expect(0)


@pytest.mark.usefixtures("either_order")
def test_a_repack_waits_for_a_transaction_of_ours(server, database, make_tool, table, kek_v2):
    """A batch is between its read and its write when the repack asks for the table."""
    with StatementGate(server, r"^UPDATE ONLY") as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(table)
        run = tool.start_run("--batch-size", 500)
        with gate.held(run):
            process = start_repack(server, database)
            waits = (
                "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted "
                "AND a.application_name = 'pg_repack' AND a.datname = current_database()"
            )
            wait_until(lambda: database.value(waits) or process.poll() is not None, "the repack waits for us")
            assert process.poll() is None, process.communicate()
        outcome = run.wait(90)
        expect_repacked(process)
    converge(outcome, tool, table, kek_v2)


def test_a_table_is_repacked_beside_a_census(server, database, make_tool, table, tmp_path, kek_v2):
    """The repack has copied the table and waits for the census, which began before it, to exchange the files."""
    said = tmp_path / "repack.log"
    with StatementGate(server, "pg_export_snapshot") as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(table)
        run = tool.start_run()
        with gate.held(run), open(said, "w", encoding="utf-8") as log:
            process = start_repack(server, database, stdout=log)
            wait_until(lambda: "Waiting for" in said.read_text() or process.poll() is not None, "the repack waits")
        outcome = run.wait(90)
        assert process.wait(60) == 0, said.read_text()
    converge(outcome, tool, table, kek_v2)


def test_a_table_is_repacked_between_two_jobs(server, database, tool, table, kek_v1, kek_v2):
    tool.run().expect(0)
    repack(server, database)
    tool.command("verify", "--partial", "--catalog", tool.catalog).expect(0)
    table.insert([(RECORDS, seal(kek_v1, b"late"))])
    tool.command("verify", "--partial", "--catalog", tool.catalog).expect(2)
    repack(server, database)
    outcome = tool.run().expect(0)
    assert outcome.report["records"]["rewrapped"] == 1, outcome.report
    assert table.key_ids() == {"kek-v2": RECORDS + 1}
    table.assert_opens_with(kek_v2)
