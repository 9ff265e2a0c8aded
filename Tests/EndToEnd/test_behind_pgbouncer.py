"""A real PgBouncer between the tool and PostgreSQL: a pool in session mode is fine where it is large enough; a smaller
one, and transaction pooling, are refused by name before anything is touched.
"""

import contextlib
import pathlib
import tempfile

import pytest

from private_pgbouncer import PrivatePgBouncer
from support.queue_process import QueueTool, wait_until_ready
from support.secrets_table import SecretsTable
from support.statement_gate import StatementGate
from support.waiting import wait_until

RECORDS = 2_000
# A run with two lanes holds ten sessions in its last census: docs/operations.md, "PostgreSQL".
SESSIONS_OF_A_RUN = 10
NEXT_STEP = "give the pool more server connections than --concurrency and 9, or connect to PostgreSQL itself"

SAYS_WHY = "is the pool full, or the server stuck?"


@pytest.fixture
def make_pool(server):
    """Starts poolers before the session's server; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(pool_mode, pool_size) -> PrivatePgBouncer:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reencrypt-pool-")))
            folder.chmod(0o755)
            return stack.enter_context(PrivatePgBouncer(folder / "pool", server, pool_mode, pool_size))

        yield start


@pytest.fixture
def table(database, kek_v1):
    return SecretsTable(database).create().fill(kek_v1, range(RECORDS))


@pytest.fixture
def tool_through(make_tool, database, table):
    """The tool, connected to the test's database through a pool or a proxy before it."""

    def make(port):
        tool = make_tool(f"postgresql://postgres:any@127.0.0.1:{port}/{database.name}")
        tool.write_catalog(table)
        return tool

    return make


def test_a_run_through_a_session_pool(make_pool, tool_through, table, kek_v2):
    tool = tool_through(make_pool("session", SESSIONS_OF_A_RUN).port)
    outcome = tool.run().expect(0)
    assert outcome.report["records"]["rewrapped"] == RECORDS
    assert table.key_ids() == {"kek-v2": RECORDS}
    table.assert_opens_with(kek_v2)
    tool.command("verify", "--partial", "--catalog", tool.catalog).expect(0)


def test_a_queue_through_a_session_pool(make_pool, tool_through, table, queue, kek_v2):
    queue_tool = QueueTool(tool_through(make_pool("session", 20).port), queue)
    workers = [queue_tool.worker("--exit-when-done") for _ in range(2)]
    wait_until_ready(workers)
    queue_tool.coordinator().wait(60).expect(0)
    for worker in workers:
        worker.wait(30).expect(0)
    assert queue.progress()["records_done"] == RECORDS
    assert table.key_ids() == {"kek-v2": RECORDS}
    table.assert_opens_with(kek_v2)
    queue_tool.verify().expect(0)


@pytest.mark.parametrize("command", ["run", "run --dry-run", "coordinator", "worker", "verify", "catalog check"])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_transaction_pooling_is_refused(make_pool, tool_through, table, request, mode, command):
    tool = tool_through(make_pool(mode, 20).port)
    before = table.versions()
    if command in ("coordinator", "worker"):
        outcome = QueueTool(tool, request.getfixturevalue("queue")).start(command).wait()
    else:
        outcome = tool.command(*command.split(), "--catalog", tool.catalog)
    outcome.expect_refusal(
        "a transaction pooler stands between this tool and PostgreSQL", "pool_mode = session", exit_codes=(1, 2)
    )
    assert table.versions() == before


# The lanes of a job with a queue are the workers'.
@pytest.mark.parametrize(
    "command, size",
    [("run", 1), ("run", 2), ("run", SESSIONS_OF_A_RUN - 1), ("coordinator", 2), ("coordinator", SESSIONS_OF_A_RUN - 3)],
)
def test_a_pool_that_is_too_small_is_refused(make_pool, tool_through, table, request, command, size):
    tool = tool_through(make_pool("session", size).port)
    before = table.versions()
    if command == "coordinator":
        outcome = QueueTool(tool, request.getfixturevalue("queue")).coordinator().wait()
    else:
        outcome = tool.run()
    said = "a second session gets no answer" if size == 1 else f"the pool gives {size} sessions at once"
    outcome.expect_refusal(said, NEXT_STEP)
    assert table.versions() == before


def test_a_verification_through_a_pool_that_is_too_small(make_pool, tool_through, table):
    tool = tool_through(make_pool("session", 3).port)
    tool.command("verify", "--partial", "--catalog", tool.catalog).expect_refusal(
        "the pool gives 3 sessions at once, and this command needs 6", NEXT_STEP
    )


def test_a_pool_that_becomes_too_small_in_mid_job(make_pool, tool_through, table, kek_v2):
    """The run waits for a session, says why, and goes on once the pool has one."""
    pool = make_pool("session", SESSIONS_OF_A_RUN)
    with StatementGate(pool, r"^UPDATE ONLY") as gate:
        tool = tool_through(gate.port)
        run = tool.start_run()
        with gate.held(run):
            pool.resize(1)
        wait_until(lambda: SAYS_WHY in run.stderr_so_far() or not run.is_running(), "the run says why it waits", 60)
        assert run.is_running(), str(run.wait())
        pool.resize(SESSIONS_OF_A_RUN)
        run.wait(60).expect(0)
    assert table.key_ids() == {"kek-v2": RECORDS}
    table.assert_opens_with(kek_v2)
