"""Names of the catalog that lead to another relation or column than when the job began: incomplete, and said which."""

import contextlib

import psycopg2
import pytest
from psycopg2 import Binary

from envelope_reference import seal
from support.application_transaction import ApplicationTransaction
from support.lies import expect_truth, liar, needs_another
from support.queue_process import wait_until_ready
from support.statement_gate import StatementGate
from support.waiting import wait_until
from test_verify import verify

HALF = 100

# What happens to the names while half of the values are old.
MOVES = {
    "a partitioned table of the old name": "ALTER TABLE secrets RENAME TO secrets_1; "
    "CREATE TABLE secrets (LIKE secrets_1 INCLUDING ALL) PARTITION BY RANGE (id); "
    "ALTER TABLE secrets ATTACH PARTITION secrets_1 FOR VALUES FROM (0) TO (1000)",
    "another column of the old name": "ALTER TABLE secrets RENAME COLUMN secret TO former; "
    "ALTER TABLE secrets ADD COLUMN secret bytea",
    "columns that are exchanged": "ALTER TABLE secrets RENAME COLUMN secret TO former; "
    "ALTER TABLE secrets RENAME COLUMN spare TO secret; ALTER TABLE secrets RENAME COLUMN former TO spare",
    "an empty table of the old name": "ALTER TABLE secrets RENAME TO former; "
    "CREATE TABLE secrets (LIKE former INCLUDING ALL)",
    "a copy of the old name": "ALTER TABLE secrets RENAME TO former; "
    "CREATE TABLE secrets (LIKE former INCLUDING ALL); INSERT INTO secrets SELECT * FROM former",
    "another schema, and an empty table": "CREATE SCHEMA archive; ALTER TABLE secrets SET SCHEMA archive; "
    "CREATE TABLE secrets (LIKE archive.secrets INCLUDING ALL)",
    "another schema": "CREATE SCHEMA archive; ALTER TABLE secrets SET SCHEMA archive",
    "a schema that is exchanged": "ALTER SCHEMA public RENAME TO former; CREATE SCHEMA public; "
    "CREATE TABLE public.secrets (LIKE former.secrets INCLUDING ALL)",
    "a table that is dropped and made again": "CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE secrets; "
    "DROP TABLE secrets; CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea, spare bytea); "
    "INSERT INTO secrets SELECT * FROM kept",
    "a view of the old name": "ALTER TABLE secrets RENAME TO former; CREATE VIEW secrets AS TABLE former",
}


@pytest.fixture
def entry(database, kek_v1):
    database.execute("CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea, spare bytea)")
    insert(database, "secrets", range(2 * HALF), kek_v1)
    return {"name": "secrets", "encrypted_columns": ["secret"]}


def insert(database, table, ids, kek):
    with database.transaction() as cursor:
        for number in ids:
            value = Binary(seal(kek, b"value %d" % number).bytes)
            cursor.execute(f"INSERT INTO {table} (id, secret) VALUES (%s, %s)", (number, value))


def values(database, *tables) -> list:
    return [value for table in tables for (value,) in database.rows(f"SELECT secret FROM {table}")]


@contextlib.contextmanager
def half_done(database, start):
    """A job that has done one half; an application holds the rows of the other. Gives process and cursor."""
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute("SELECT FROM secrets WHERE id >= %s FOR UPDATE", (HALF,))
        process = start()
        under_v2 = "SELECT count(*) FROM secrets WHERE position('\"kek-v2\"'::bytea IN secret) > 0"
        wait_until(lambda: database.value(under_v2) >= HALF or not process.is_running(), "one half is done")
        assert process.is_running(), str(process.wait())
        yield process, cursor
    application.commit()


def expect_incomplete(outcome, *words):
    outcome.expect(2)
    for word in words:
        assert word in outcome.output, f"says nothing of {word}\n{outcome}"


# MARK: in the middle of a job


@pytest.mark.parametrize("move", MOVES)
def test_a_name_moves_during_a_run(database, tool, entry, move):
    tool.write_catalog(entry)
    with half_done(database, lambda: tool.start_run("--batch-size", 10)) as (run, cursor):
        cursor.execute(MOVES[move])
    expect_incomplete(run.wait(), "secrets")


@pytest.mark.parametrize("move", list(MOVES)[:6])
def test_a_name_moves_during_a_coordinators_job(database, queue_tool, entry, move):
    queue_tool.tool.write_catalog(entry)
    worker = queue_tool.worker("--exit-when-done")
    wait_until_ready([worker])
    with half_done(database, lambda: queue_tool.coordinator("--batch-size", 10)) as (coordinator, cursor):
        cursor.execute(MOVES[move])
    expect_incomplete(coordinator.wait(), "secrets")
    assert worker.wait().exit_code != 0


PATH_MOVES = {
    "a table": "CREATE TABLE early.secrets (LIKE public.secrets INCLUDING ALL); "
    "INSERT INTO early.secrets SELECT * FROM public.secrets",
    "a view": "CREATE VIEW early.secrets AS TABLE public.secrets",
}


@pytest.fixture
def early_role(database):
    """A role with a schema in its path before that of the table."""
    database.execute("CREATE SCHEMA early")
    role = database.create_role("rotation", "SUPERUSER")
    database.execute(f"ALTER ROLE {role} SET search_path = early, public")
    return role


@pytest.mark.parametrize("move", PATH_MOVES)
def test_a_relation_comes_earlier_in_the_path(database, make_tool, entry, early_role, move):
    tool = make_tool(database.url_as(early_role))
    tool.write_catalog(entry)
    with half_done(database, lambda: tool.start_run("--batch-size", 10)) as (run, cursor):
        cursor.execute(PATH_MOVES[move])
    expect_incomplete(run.wait(), "secrets")


def test_a_view_that_stands_earlier_in_the_path(database, make_tool, entry, early_role):
    """It is what the name means, and it stores nothing."""
    database.execute(PATH_MOVES["a view"])
    tool = make_tool(database.url_as(early_role))
    tool.write_catalog(entry)
    tool.run().expect_refusal("secrets", "view")
    verify(tool).expect_refusal("secrets", "view")
    assert needs_another(values(database, "public.secrets")) == 2 * HALF


def test_the_same_table_by_two_names(database, tool, entry):
    tool.write_catalog(entry, {**entry, "name": "public.secrets"})
    tool.run().expect_refusal("public.secrets", "same table")
    verify(tool).expect_refusal("public.secrets", "same table")
    assert needs_another(values(database, "secrets")) == 2 * HALF


def test_a_name_moves_during_a_dry_run_or_a_verification(database, server, make_tool, kek_v1, kek_v2):
    """Between the look-up and the snapshot: the name means a table full of lies when the verification reads."""
    for name in ("secrets", "other"):
        database.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, secret bytea)")
    insert(database, "secrets", range(HALF), kek_v2)
    insert(database, "other", range(HALF), liar(kek_v1, kek_v2))
    swap = "ALTER TABLE secrets RENAME TO parked; ALTER TABLE other RENAME TO secrets; ALTER TABLE parked RENAME TO other"
    with StatementGate(server, r"REPEATABLE READ READ ONLY") as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]}, ignore=["public.other.secret"])
        process = tool.start_command("verify", "--catalog", tool.catalog)
        with gate.held(process):
            change = ApplicationTransaction(database, swap, commits=True).settle()
        outcome = process.wait()
        change.commit()
    if not change.had_to_wait:
        expect_truth(outcome, values(database, "secrets"), kek_v2)


# MARK: a part that is attached, and not yet committed


@pytest.fixture
def trees(database, kek_v1, kek_v2):
    """A partitioned and an inheritance tree, all good, and a table beside each that is full of old values."""
    database.execute(
        """
        CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea NOT NULL) PARTITION BY RANGE (id);
        CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES FROM (0) TO (100);
        CREATE TABLE secrets_2 (LIKE secrets INCLUDING ALL);
        CREATE TABLE parent (id bigint PRIMARY KEY, secret bytea NOT NULL);
        CREATE TABLE child (LIKE parent INCLUDING ALL)
        """
    )
    for table, first, kek in (("secrets_1", 0, kek_v2), ("secrets_2", 100, kek_v1),
                              ("parent", 0, kek_v2), ("child", 100, kek_v1)):  # fmt: skip
        insert(database, table, range(first, first + 50), kek)


ATTACHMENTS = {
    "attach": ("secrets", "ALTER TABLE secrets ATTACH PARTITION secrets_2 FOR VALUES FROM (100) TO (200)"),
    "inherit": ("parent", "ALTER TABLE child INHERIT parent"),
    "create": ("secrets", "CREATE TABLE secrets_3 PARTITION OF secrets FOR VALUES FROM (100) TO (200); "
               "INSERT INTO secrets_3 SELECT * FROM secrets_2"),
    "create a child": ("parent", "CREATE TABLE child_2 (PRIMARY KEY (id)) INHERITS (parent); INSERT INTO child_2 SELECT * FROM child"),
}  # fmt: skip


@pytest.fixture(params=ATTACHMENTS)
def attachment(request, trees, tool):
    # What is beside the catalog is not what the test is about.
    tool.write_catalog(
        *({"name": name, "encrypted_columns": ["secret"]} for name in ("secrets", "parent")),
        ignore=["public.secrets_2.secret", "public.child.secret"],
    )
    return ATTACHMENTS[request.param]


@contextlib.contextmanager
def pending(database, sql, is_prepared):
    """The transaction's end is given to the body, which may call it; else it is rolled back."""
    connection = database.connect("attaching")
    with connection.cursor() as cursor:
        cursor.execute(sql)
        if is_prepared:
            cursor.execute("PREPARE TRANSACTION 'attaching'")
            connection.commit()
            connection.autocommit = True

    def commit():
        if not is_prepared:
            connection.commit()
            return
        with connection.cursor() as cursor:
            cursor.execute("COMMIT PREPARED 'attaching'")

    try:
        yield commit
    finally:
        if not is_prepared:
            connection.rollback()
        elif database.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"):
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK PREPARED 'attaching'")


@pytest.mark.parametrize("is_prepared", [False, True], ids=["open", "prepared"])
@pytest.mark.watchdog(200)
def test_a_run_beside_a_pending_attachment(database, tool, attachment, kek_v2, is_prepared):
    """It ends without a 0, or says whom it waits for."""
    name, sql = attachment
    with pending(database, sql, is_prepared) as commit:
        run = tool.start_run("--wait-open-transactions", "1s")
        wait_until(
            lambda: not run.is_running() or "attaching" in run.stderr_so_far() or "locked" in run.stderr_so_far(),
            "it ends, or says whom it waits for",
            100,
        )
        ended_before = not run.is_running()
        commit()
        outcome = run.wait()
    if ended_before:
        outcome.expect(1, 2)
    expect_truth(outcome, values(database, name), kek_v2)
    tool.run().expect(0)
    assert needs_another(values(database, name), kek_v2) == 0


@pytest.mark.watchdog(200)
@pytest.mark.parametrize("is_prepared", [False, True], ids=["open", "prepared"])
def test_a_verification_beside_a_pending_attachment(database, tool, attachment, is_prepared):
    name, sql = attachment
    with pending(database, sql, is_prepared) as commit:
        outcome = verify(tool, "--wait-open-transactions", "1s", timeout=110).expect(1, 2)
        # Where the table itself is locked, that is what it can say.
        assert "attaching" in outcome.output or f"public.{name}" in outcome.output, str(outcome)
        commit()
    verify(tool).expect(2)


def test_a_verification_waits_for_an_attachment(database, tool, attachment):
    _, sql = attachment
    with pending(database, sql, is_prepared=False) as commit:
        process = tool.start_command("verify", "--catalog", tool.catalog)
        wait_until(
            lambda: "attaching" in process.stderr_so_far() or not process.is_running(), "it names the transaction"
        )
        commit()
        process.wait().expect(2)


@pytest.mark.parametrize("is_prepared", [False, True], ids=["open", "prepared"])
def test_a_fence_beside_a_pending_attachment(database, tool, attachment, is_prepared):
    """The constraint's lock waits for the transaction, or the fence is not there: no 0 without it."""
    name, sql = attachment
    with pending(database, sql, is_prepared) as commit:
        process = tool.start_command(
            "fence", "add", "--catalog", tool.catalog, "--lock-timeout", "300", "--attempts", "3",
            "--wait-open-transactions", "1s",
        )  # fmt: skip
        outcome = process.wait(60)
        commit()
    if outcome.exit_code == 0:
        with pytest.raises(psycopg2.errors.CheckViolation):
            database.execute(
                f"INSERT INTO {name} SELECT id + 1, secret FROM {name} "
                "WHERE position('\"kek-v1\"'::bytea IN secret) > 0 ORDER BY id DESC LIMIT 1"
            )


# MARK: temporary children


@pytest.fixture
def temporary_child(database, trees, kek_v1):
    """Rows that another session's temporary table adds to a tree; nobody else can read them."""
    connection = database.connect("reporting", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE scratch (PRIMARY KEY (id)) INHERITS (parent)")
        cursor.execute("INSERT INTO scratch VALUES (900, %s)", (Binary(seal(kek_v1, b"kept aside").bytes),))
    return connection


@pytest.mark.parametrize("command", ["run", "dry run", "verify", "fence add", "catalog check"])
def test_a_temporary_child_of_another_session(database, tool, temporary_child, command):
    tool.write_catalog({"name": "parent", "encrypted_columns": ["secret"]})
    arguments = {"run": ["run"], "dry run": ["run", "--dry-run"], "verify": ["verify"], "fence add": ["fence", "add"],
                 "catalog check": ["catalog", "check"]}[command]  # fmt: skip
    outcome = tool.command(*arguments, "--catalog", tool.catalog).expect(1, 2)
    assert "scratch" in outcome.output, str(outcome)


def test_a_temporary_child_that_comes_during_a_run(database, tool, entry, kek_v1):
    tool.write_catalog(entry)
    other = database.connect("reporting", autocommit=True)
    with half_done(database, lambda: tool.start_run("--batch-size", 10)) as (run, _), other.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE scratch (PRIMARY KEY (id)) INHERITS (secrets)")
        cursor.execute("INSERT INTO scratch VALUES (900, %s)", (Binary(seal(kek_v1, b"kept aside").bytes),))
    expect_incomplete(run.wait(), "scratch")
