"""More ways in which PostgreSQL moves, hides, copies, rewrites or delays a value: none of them ends in a false 0.

The table of all of them is docs/verdict.md.
"""

import signal
import threading

import psycopg2
import pytest
from psycopg2 import Binary

from envelope_reference import KeyEncryptionKey, seal
from support.application_transaction import ApplicationTransaction
from support.lies import expect_truth, liar, needs_another
from support.secrets_table import SecretsTable
from support.statement_gate import StatementGate
from support.waiting import wait_until
from test_names_that_lead_elsewhere import entry, half_done, insert, values  # noqa: F401
from test_snapshot_and_locks import SNAPSHOT, fenced, verify_across  # noqa: F401
from test_verify import verify

ROWS = 200


@pytest.fixture
def good(database, tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(ROWS))
    tool.write_catalog(table)
    return table


def lie(kek_v1, kek_v2):
    return Binary(seal(liar(kek_v1, kek_v2), b"lie").bytes)


INSERT = "INSERT INTO llm_providers (id, api_key_encrypted) VALUES (5000, %s)"


# MARK: delayed


def test_a_lie_passes_a_fence_in_a_transaction_that_was_open(
    server, database, make_tool, fenced, kek_v1, kek_v2  # noqa: F811
):
    """A fence refuses labels. A value whose label is good and whose data key is not passes it, whenever it commits."""
    application = ApplicationTransaction(database, INSERT, (lie(kek_v1, kek_v2),), name="old-billing").settle()
    with StatementGate(server, SNAPSHOT, behind=True) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(fenced)
        process = tool.start_command("verify", "--catalog", tool.catalog, "--wait-open-transactions", "1s")
        with gate.held(process):
            application.commit()
        process.wait().expect(2)


def test_a_lie_behind_a_fence_in_a_transaction_that_stays_open(database, tool, fenced, kek_v1, kek_v2):  # noqa: F811
    application = ApplicationTransaction(database, INSERT, (lie(kek_v1, kek_v2),), name="old-billing").settle()
    outcome = verify(tool, "--wait-open-transactions", "1s").expect(2)
    assert "old-billing" in outcome.output, str(outcome)
    application.commit()


def test_rows_in_new_blocks_just_before_the_snapshot(server, database, make_tool, good, kek_v1, kek_v2):
    """A size that is older than the snapshot misses what the snapshot sees."""
    with StatementGate(server, SNAPSHOT) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(good)
        process = tool.start_command("verify", "--catalog", tool.catalog)
        with gate.held(process):
            good.insert((10_000 + n, seal(liar(kek_v1, kek_v2), b"lie")) for n in range(2_000))
        process.wait().expect(2)


@pytest.mark.watchdog(200)
@pytest.mark.slow
def test_an_exclusive_lock_that_is_never_given_up(database, tool, good):
    """A verification gives up by name; a dry run, which a person watches, says whom it waits for."""
    application = ApplicationTransaction(database, "LOCK TABLE llm_providers", name="stuck").settle()
    outcome = tool.command("verify", "--catalog", tool.catalog, timeout=120).expect(1, 2)
    assert "llm_providers" in outcome.output, str(outcome)
    process = tool.start_run("--dry-run")
    wait_until(lambda: "stuck" in process.stderr_so_far() or not process.is_running(), "it says whom it waits for")
    application.commit()
    if process.wait().exit_code == 0:
        assert f"Would re-encrypt 0 of {ROWS} records" in process.wait().output
    verify(tool).expect(0)


def test_a_deferred_trigger_puts_the_old_value_back(database, tool, kek_v1, kek_v2):
    """After the worker has read what it wrote, and before its commit."""
    table = SecretsTable(database).create().fill(kek_v1, range(40))
    database.execute(
        """
        CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF position('"kek-v2"'::bytea IN NEW.api_key_encrypted) > 0 THEN
                UPDATE public.llm_providers SET api_key_encrypted = OLD.api_key_encrypted WHERE id = NEW.id;
            END IF;
            RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER undo AFTER UPDATE ON llm_providers DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION undo()
        """
    )
    tool.write_catalog(table)
    tool.run().expect(2)
    assert needs_another(table.stored().values(), kek_v2) == 40


# MARK: moved and copied


@pytest.mark.parametrize("first", ["history", "llm_providers"])
def test_a_trigger_copies_the_old_row_into_another_table_of_the_catalog(database, tool, kek_v1, kek_v2, first):
    table = SecretsTable(database).create().fill(kek_v1, range(40))
    database.execute(
        """
        CREATE TABLE history (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, former bytea);
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.history (former) VALUES (OLD.api_key_encrypted); RETURN NULL; END $$;
        CREATE TRIGGER keep AFTER UPDATE ON llm_providers FOR EACH ROW EXECUTE FUNCTION keep()
        """
    )
    entries = [table.catalog_entry, {"name": "history", "encrypted_columns": ["former"]}]
    tool.write_catalog(*(entries if first == "llm_providers" else entries[::-1]))
    outcome = tool.run()
    kept = [value for (value,) in database.rows("SELECT former FROM history")]
    expect_truth(outcome, [*table.stored().values(), *kept], kek_v2)
    assert len(kept) == 40


@pytest.mark.parametrize("has_fence", [False, True], ids=["unfenced", "fenced"])
def test_partitions_are_exchanged_behind_the_snapshot(server, database, make_tool, tool, kek_v1, kek_v2, has_fence):
    database.execute(
        "CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea NOT NULL) PARTITION BY RANGE (id);"
        "CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE secrets_2 (LIKE secrets INCLUDING ALL)"
    )
    insert(database, "secrets_1", range(50), kek_v2)
    insert(database, "secrets_2", range(50), liar(kek_v1, kek_v2))
    catalog = {"name": "secrets", "encrypted_columns": ["secret"]}
    tool.write_catalog(catalog)
    if has_fence:
        tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
        # Without the constraint PostgreSQL attaches nothing.
        database.execute("CREATE TABLE secrets_3 (LIKE secrets INCLUDING ALL); INSERT INTO secrets_3 TABLE secrets_2;"
                         "DROP TABLE secrets_2; ALTER TABLE secrets_3 RENAME TO secrets_2")  # fmt: skip
    outcome, had_to_wait = verify_across(
        server, database, make_tool, catalog,
        "ALTER TABLE secrets DETACH PARTITION secrets_1;"
        "ALTER TABLE secrets ATTACH PARTITION secrets_2 FOR VALUES FROM (0) TO (100)",
        ignore=["public.secrets_2.secret", "public.secrets_1.secret"],
    )  # fmt: skip
    if had_to_wait and outcome.exit_code == 0:
        return  # it came when the verdict had been given
    expect_truth(outcome, values(database, "secrets"), kek_v2)


@pytest.mark.parametrize("way", ["detach", "detach concurrently", "no inherit", "drop"])
def test_a_part_goes_during_a_run(database, tool, kek_v1, kek_v2, way):
    """Its rows are another table's now, or nobody's: the job was about more than is left."""
    tree = "PARTITION BY RANGE (id)" if "detach" in way or way == "drop" else ""
    database.execute(f"CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea NOT NULL) {tree}")
    for number, (low, high) in enumerate([(0, 100), (100, 1000)]):
        part = f"PARTITION OF secrets FOR VALUES FROM ({low}) TO ({high})" if tree else "(PRIMARY KEY (id)) INHERITS (secrets)"
        database.execute(f"CREATE TABLE secrets_{number} {part}")
        insert(database, f"secrets_{number}", range(low, low + 100), kek_v1)
    sql = {
        "detach": "ALTER TABLE secrets DETACH PARTITION secrets_1",
        "detach concurrently": "ALTER TABLE secrets DETACH PARTITION secrets_1 CONCURRENTLY",
        "no inherit": "ALTER TABLE secrets_1 NO INHERIT secrets",
        "drop": "DROP TABLE secrets_1",
    }[way]
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    with half_done(database, lambda: tool.start_run("--batch-size", 10)) as (run, cursor):
        if way != "detach concurrently":
            cursor.execute(sql)
    if way == "detach concurrently":
        connection = database.connect("detaching", autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute(sql)
    outcome = run.wait().expect(0, 2)
    expect_truth(outcome, values(database, "secrets"), kek_v2)
    if outcome.exit_code == 0:
        # Its rows were done before it went.
        assert needs_another(values(database, "secrets_1"), kek_v2) == 0
    if way == "detach":
        outcome.expect(2)


def test_parts_with_other_attribute_numbers(database, tool, kek_v1, kek_v2):
    """A part's columns stand in an order of their own."""
    database.execute(
        "CREATE TABLE secrets (id bigint PRIMARY KEY, note text, secret bytea) PARTITION BY RANGE (id);"
        "CREATE TABLE secrets_1 (gone int, secret bytea, gone_too int, note text, id bigint NOT NULL);"
        "ALTER TABLE secrets_1 DROP COLUMN gone; ALTER TABLE secrets_1 DROP COLUMN gone_too;"
        "ALTER TABLE secrets ATTACH PARTITION secrets_1 FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE secrets_2 PARTITION OF secrets FOR VALUES FROM (100) TO (200)"
    )
    insert(database, "secrets", range(0, 200), kek_v1)
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    tool.run().expect(0)
    assert needs_another(values(database, "secrets"), kek_v2) == 0
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    verify(tool).expect(0)


def test_a_schema_of_the_roles_own_name_comes_during_a_run(database, make_tool, entry):  # noqa: F811
    """`"$user"` stands first in everybody's path."""
    role = database.create_role("rotation", "SUPERUSER")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(entry)
    with half_done(database, lambda: tool.start_run("--batch-size", 10)) as (run, cursor):
        cursor.execute(f"CREATE SCHEMA {role}; CREATE TABLE {role}.secrets (LIKE public.secrets INCLUDING ALL);"
                       f"INSERT INTO {role}.secrets SELECT * FROM public.secrets")  # fmt: skip
    run.wait().expect(2)
    database.execute(f"DROP SCHEMA {role} CASCADE")


# MARK: rewritten


CHANGES = {
    "bytea to text": ("bytea", "text USING convert_from(api_key_encrypted, 'UTF8')"),
    "text to bytea": ("text", "bytea USING convert_to(api_key_encrypted, 'UTF8')"),
    "text to varchar": ("text", "varchar(4000)"),
    "jsonb to text": ("jsonb", "text USING api_key_encrypted::text"),
    "text to jsonb": ("text", "jsonb USING api_key_encrypted::jsonb"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_columns_type_changes_during_a_run(database, tool, kek_v1, kek_v2, change):
    before, after = CHANGES[change]
    table = SecretsTable(database, column_type=before).create().fill(kek_v1, range(ROWS))
    tool.write_catalog(table)
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute("SELECT FROM llm_providers WHERE id >= 100 FOR UPDATE")
        run = tool.start_run("--batch-size", 10)
        wait_until(lambda: table.count_under(kek_v2) >= 100 or not run.is_running(), "one half is done")
        cursor.execute(f"ALTER TABLE llm_providers ALTER COLUMN api_key_encrypted TYPE {after}")
    application.commit()
    outcome = run.wait()
    expect_truth(outcome, values_of_any_type(database), kek_v2, words=["llm_providers"])


@pytest.mark.parametrize("change", CHANGES)
def test_the_columns_type_changes_behind_the_snapshot(server, database, make_tool, kek_v1, kek_v2, change):
    before, after = CHANGES[change]
    table = SecretsTable(database, column_type=before).create().fill(liar(kek_v1, kek_v2), range(ROWS))
    outcome, _ = verify_across(
        server, database, make_tool, table, f"ALTER TABLE llm_providers ALTER COLUMN api_key_encrypted TYPE {after}"
    )
    outcome.expect(1, 2)


def values_of_any_type(database):
    kind = database.value("SELECT pg_typeof(api_key_encrypted)::text FROM llm_providers LIMIT 1")
    cell = "convert_from(api_key_encrypted, 'UTF8')" if kind == "bytea" else "api_key_encrypted::text"
    return [value for (value,) in database.rows(f"SELECT {cell} FROM llm_providers")]


def test_a_default_that_is_stored_in_no_row(database, tool, kek_v1, kek_v2):
    """ADD COLUMN with a constant keeps it in the catalog of columns, for all rows that there are."""
    database.execute("CREATE TABLE secrets (id bigint PRIMARY KEY); INSERT INTO secrets SELECT generate_series(1, 50)")
    database.execute("ALTER TABLE secrets ADD COLUMN secret bytea DEFAULT %s", (Binary(seal(kek_v1, b"x").bytes),))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    verify(tool).expect(2)
    tool.run().expect(0)
    assert needs_another(values(database, "secrets"), kek_v2) == 0
    outcome = verify(tool).expect(2)
    assert "default" in outcome.stdout.lower(), str(outcome)


# MARK: hidden


@pytest.mark.parametrize("moment", ["snapshot", "before"])
def test_a_policy_comes_during_a_verification(server, database, make_tool, good, kek_v1, kek_v2, moment):
    good.insert([(5_000, seal(liar(kek_v1, kek_v2), b"lie"))])
    role = database.create_role("verifier")
    database.execute(f"GRANT SELECT ON llm_providers TO {role}")
    with StatementGate(server, SNAPSHOT, behind=moment == "snapshot") as gate:
        url = database.url_through(gate.port).replace("postgres:" + server.password, f"{role}:{role}")
        tool = make_tool(url)
        tool.write_catalog(good)
        process = tool.start_command("verify", "--catalog", tool.catalog)
        with gate.held(process):
            change = ApplicationTransaction(
                database,
                "ALTER TABLE llm_providers ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON llm_providers USING (id < 10)",
                commits=True,
            ).settle()
        process.wait().expect(1, 2)
    change.commit()


@pytest.mark.parametrize("is_evil", [False, True], ids=["a path of the application", "a path with a shadow"])
def test_a_trigger_changes_the_settings_of_our_session(database, make_tool, kek_v1, kek_v2, is_evil):
    """It runs as our role, in our session: what it sets must not make our next statement say something else."""
    database.execute(
        """
        CREATE SCHEMA evil;
        CREATE TABLE evil.secrets (id bigint PRIMARY KEY, secret bytea, spare bytea);
        CREATE TABLE public.secrets (id bigint PRIMARY KEY, secret bytea, spare bytea);
        CREATE FUNCTION lead_astray() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog, public', false);
            PERFORM pg_catalog.set_config('row_security', 'on', false);
            PERFORM pg_catalog.set_config('default_transaction_isolation', 'serializable', false);
            PERFORM pg_catalog.set_config('bytea_output', 'escape', false);
            RETURN NEW; END $$;
        CREATE TRIGGER lead_astray BEFORE UPDATE ON public.secrets FOR EACH ROW EXECUTE FUNCTION lead_astray()
        """
    )
    if is_evil:
        database.execute(
            "CREATE FUNCTION evil.same(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
            "CREATE OPERATOR evil.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = evil.same)"
        )
    insert(database, "public.secrets", range(300), kek_v1)
    tool = make_tool(database.url)
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    run = tool.start_run("--batch-size", 10, "--concurrency", 2)
    # A worker that is led astray finds rows that it cannot take: that lasts until a person ends it.
    wait_until(lambda: not run.is_running() or "rows are locked" in run.stderr_so_far(), "it ends, or cannot", 60)
    if run.is_running():
        run.send(signal.SIGTERM)
    outcome = run.wait(90)
    if outcome.exit_code == 0:
        assert needs_another(values(database, "public.secrets"), kek_v2) == 0
    assert is_evil or outcome.exit_code == 0, str(outcome)


def test_an_event_trigger_takes_the_fence_away(database, tool, good, kek_v1):
    """It belongs to a superuser; still, 0 is said of what stands."""
    database.execute(
        """
        CREATE FUNCTION take() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE name text; BEGIN
            IF pg_trigger_depth() = 0 AND current_setting('application_name') LIKE 'reencrypt-secrets%' THEN
                SELECT conname INTO name FROM pg_constraint WHERE conname LIKE 'reencrypt_fence%' AND convalidated;
                IF name IS NOT NULL THEN
                    UPDATE pg_constraint SET convalidated = false WHERE conname = name;
                END IF;
            END IF;
        END $$;
        CREATE EVENT TRIGGER take ON ddl_command_end EXECUTE FUNCTION take()
        """
    )
    try:
        outcome = tool.command("fence", "add", "--catalog", tool.catalog)
        if outcome.exit_code == 0:
            assert database.value("SELECT bool_and(convalidated) FROM pg_constraint WHERE conname LIKE 'reencrypt%%'", ())
    finally:
        database.execute("DROP EVENT TRIGGER take")


# MARK: read differently


def test_a_collation_for_which_letters_are_equal(database, make_tool, kek_v1):
    """Under the column's own collation, `KEK-V2` is `kek-v2`."""
    lower, upper = KeyEncryptionKey.generate("kek-v2"), KeyEncryptionKey.generate("KEK-V2")
    try:
        database.execute("CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg2.errors.FeatureNotSupported:
        pytest.skip("this server is built without ICU")
    table = SecretsTable(database, column_type='text COLLATE "no_case"').create()
    table.insert((n, seal(upper, b"x")) for n in range(50))
    tool = make_tool(database.url, primary=lower, previous=(upper,))
    tool.write_catalog(table)
    verify(tool).expect(2)
    expect_truth(tool.run().expect(0), table.stored().values(), lower)
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0, 1, 2)
    verify(tool).expect(0)


# MARK: stated limits


def test_a_watch_reads_labels(database, tool, good, kek_v1, kek_v2):
    """A lie that commits during `--watch` is not opened, and the verdict says of which kind its look was."""
    process = tool.start_command("verify", "--catalog", tool.catalog, "--watch", "3s")
    wait_until(lambda: "Watching" in process.stderr_so_far() or not process.is_running(), "it watches")
    good.insert([(5_000, seal(liar(kek_v1, kek_v2), b"lie"))])
    outcome = process.wait().expect(0, 2)
    if outcome.exit_code == 0:
        assert "at this time" in outcome.stdout and "label" in outcome.stdout, str(outcome)
    verify(tool).expect(2)


def test_an_open_transaction_writes_elsewhere(database, tool, good, kek_v1):
    """Outside of the catalog an old value that is not committed yet is one of the limits, and no objection."""
    database.execute("CREATE TABLE elsewhere (id bigint, note text)")
    sql = "INSERT INTO elsewhere VALUES (1, %s)"
    application = ApplicationTransaction(database, sql, (seal(kek_v1, b"x").text,), name="elsewhere").settle()
    outcome = verify(tool).expect(0, 2)
    application.commit()
    verify(tool).expect(2)
    if outcome.exit_code == 0:
        assert "What this does not prove" in outcome.stdout


# MARK: what is no reason to object


@pytest.fixture
def tree(database, kek_v1):
    database.execute(
        "CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea NOT NULL) PARTITION BY RANGE (id);"
        "CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES FROM (0) TO (1000)"
    )
    insert(database, "secrets", range(100), kek_v1)
    return {"name": "secrets", "encrypted_columns": ["secret"]}


@pytest.mark.parametrize("sql", [
    "LOCK TABLE secrets IN SHARE UPDATE EXCLUSIVE MODE",
    "LOCK TABLE secrets IN ACCESS SHARE MODE; SELECT FROM secrets",
    "SELECT FROM secrets WHERE id = -1 FOR UPDATE",
], ids=["the lock of VACUUM", "a reader", "a locker"])  # fmt: skip
def test_maintenance_and_readers_hold_nothing_up(database, tool, tree, sql):
    """VACUUM, ANALYZE and CREATE INDEX CONCURRENTLY take the lock that an attachment takes, for hours."""
    tool.write_catalog(tree)
    maintenance = ApplicationTransaction(database, sql, name="maintenance").settle()
    tool.run().expect(0)
    verify(tool).expect(0)
    maintenance.commit()


def test_an_index_that_is_made_concurrently(database, tool, tree):
    tool.write_catalog(tree)
    reader = ApplicationTransaction(
        database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM secrets", name="reader"
    ).settle()
    connection = database.connect("maintenance", autocommit=True)
    thread = threading.Thread(target=run_on, args=(connection, "CREATE INDEX CONCURRENTLY ON secrets_1 (secret)"))
    thread.start()
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'"
    wait_until(lambda: database.value(waits) > 0, "the index is being made")
    try:
        tool.run().expect(0)
        verify(tool, "--wait-open-transactions", "2s").expect(0, 2)
    finally:
        reader.commit()
        thread.join(60)


def run_on(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


LIMITS = (
    "backups, WAL archives and logical dumps", "dead rows and full-page images", "put into another row",
    "neither connected nor has a replication slot", "a database administrator who lies",
    "compressed or encrypted again", "temporary tables of other sessions", "dropped columns",
    "databases that subscribe to this one",
)  # fmt: skip


def test_each_verdict_prints_its_limits(tool, good):
    printed = verify(tool).expect(0).stdout.split("What this does not prove")[1]
    assert not [limit for limit in LIMITS if limit not in printed], printed
