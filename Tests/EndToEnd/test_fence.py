"""The fence: a constraint that refuses values under retired keys, and nothing else."""

import json
import re
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from envelope_reference import MEMBERS, KeyEncryptionKey, Spelling, seal
from private_postgres import PrivatePostgres
from support.isolated_database import IsolatedDatabase
from support.secrets_table import SecretsTable
from support.waiting import wait_until

COLUMN_TYPES = ["bytea", "text", "varchar", "json", "jsonb"]
NAME = "reencrypt_fence_retired_key_see_runbook_"


def fence(tool, *arguments, **options):
    return tool.command("fence", *arguments[:1], "--catalog", tool.catalog, *arguments[1:], **options)


def status(tool) -> list:
    return json.loads(fence(tool, "status", "--json").expect(0).stdout)["columns"]


def constraints(database) -> list:
    return [
        row[0] for row in database.rows("SELECT DISTINCT conname FROM pg_constraint WHERE conname LIKE 'reencrypt%'")
    ]


def refused(action) -> psycopg2.Error:
    with pytest.raises(psycopg2.errors.CheckViolation) as caught:
        action()
    return caught.value


@pytest.fixture
def table(database, tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(1, 51))
    tool.write_catalog(table)
    return table


@pytest.mark.parametrize("column_type", COLUMN_TYPES)
def test_a_late_writer_is_refused_and_led_to_the_runbook(database, tool, kek_v1, kek_v2, column_type):
    table = SecretsTable(database, column_type=column_type).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    fence(tool, "add").expect(0)
    error = refused(lambda: table.insert([(100, seal(kek_v1, b"late"))]))
    assert error.diag.constraint_name.startswith(NAME)
    assert NAME in str(error)
    refused(lambda: table.insert([(100, seal(kek_v1, b"late", Spelling(order=MEMBERS[::-1])))]))
    # Current values, those of the next rotation and NULL go on.
    kek_v3 = KeyEncryptionKey.generate("kek-v3")
    table.insert([(101, seal(kek_v2, b"now")), (102, seal(kek_v3, b"next")), (103, None)])
    [column] = status(tool)
    assert column["present"] and column["validated"] and column["retired"] == ["kek-v1"], column
    assert column["constraints"] == constraints(database)


def test_it_survives_the_next_rotation(make_tool, database, table, tool, kek_v2):
    fence(tool, "add").expect(0)
    kek_v3 = KeyEncryptionKey.generate("kek-v3")
    next_tool = make_tool(database.url, primary=kek_v3, previous=[kek_v2])
    next_tool.write_catalog(table)
    next_tool.run().expect(0)
    table.assert_opens_with(kek_v3)
    # Both keys are retired now; the new fence takes the old one's place.
    before = constraints(database)
    fence(next_tool, "add", "--retired", "kek-v1", "kek-v2").expect(0)
    assert len(constraints(database)) == 1 and constraints(database) != before
    refused(lambda: table.insert([(200, seal(kek_v2, b"late"))]))
    # The same once more changes nothing.
    before = constraints(database)
    assert "has this fence already" in fence(next_tool, "add", "--retired", "kek-v2,kek-v1").expect(0).stderr
    assert constraints(database) == before


@pytest.mark.parametrize("left", ["old", "unreadable"])
def test_it_is_refused_while_an_old_or_failed_record_remains(database, tool, table, kek_v1, left):
    table.insert([(99, seal(kek_v1, b"old") if left == "old" else b"no envelope")])
    outcome = fence(tool, "add").expect(1)
    assert "llm_providers.api_key_encrypted: 1 records " + ("under kek-v1" if left == "old" else left) in outcome.stderr
    assert constraints(database) == []


def test_an_uncommitted_old_value_is_waited_for_and_found(database, tool, table, kek_v1):
    """The first census cannot see it; the lock waits for it; the second census finds it; nothing stays."""
    writer = database.connect("late writer")
    with writer.cursor() as cursor:
        cursor.execute(
            "INSERT INTO llm_providers (id, api_key_encrypted) VALUES (900, %s)", (seal(kek_v1, b"late").bytes,)
        )
    process = tool.start_command(
        "fence", "add", "--catalog", tool.catalog, "--lock-timeout", "300", "--attempts", "30"
    )
    deadline = time.monotonic() + 30
    while "came to nothing" not in process.stderr_so_far() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "application_name 'late writer'" in process.stderr_so_far()
    writer.commit()
    outcome = process.wait().expect(2)
    assert "1 records under kek-v1" in outcome.stderr and "taken back" in outcome.stderr
    assert constraints(database) == []


def test_a_prepared_transaction_is_waited_for_like_an_open_one(server_directory, make_tool, kek_v1, kek_v2):
    settings = {"fsync": "off", "max_prepared_transactions": "2"}
    with PrivatePostgres(server_directory / "prepared", settings) as server:
        database = IsolatedDatabase(server)
        table = SecretsTable(database).create().fill(kek_v2, range(1, 5))
        tool = make_tool(database.url)
        tool.write_catalog(table)
        connection = database.connect("late writer")
        connection.tpc_begin(connection.xid(0, "late", ""))
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO llm_providers VALUES (900, NULL, %s)", (seal(kek_v1, b"late").bytes,))
        connection.tpc_prepare()
        outcome = fence(tool, "add", "--lock-timeout", "200", "--attempts", "1").expect(1)
        assert "in the way: a prepared transaction" in outcome.stderr
        connection.tpc_commit()
        assert "under kek-v1" in fence(tool, "add").expect(1).stderr
        tool.run().expect(0)
        fence(tool, "add").expect(0)
        database.drop()


def test_a_lock_that_is_never_given_up_ends_it(database, tool, table):
    blocker = database.connect("importer")
    with blocker.cursor() as cursor:
        cursor.execute("SELECT * FROM llm_providers LIMIT 1")
    outcome = fence(tool, "add", "--lock-timeout", "100", "--attempts", "2").expect(1)
    assert "2 attempts" in outcome.stderr and "importer" in outcome.stderr
    assert constraints(database) == []


def test_validation_by_postgresql_finds_the_one_old_row(database, tool, table, kek_v1, kek_v2):
    """A constraint that stands without validation, as one whose adding was cut short."""
    fence(tool, "add").expect(0)
    [name] = constraints(database)
    definition = database.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", (name,))
    comment = database.value("SELECT obj_description(oid) FROM pg_constraint WHERE conname = %s", (name,))
    database.execute(f"ALTER TABLE llm_providers DROP CONSTRAINT {name}")
    database.execute(
        "INSERT INTO llm_providers SELECT 1000 + g, NULL, %s FROM generate_series(1, 1000000) g",
        (seal(kek_v2, b"x").bytes,),
    )
    decoy = Spelling(order=MEMBERS[::-1], unknown=((0, '"a"', '{"key_id":"kek-v2"}'),))
    table.insert([(70_000_000, seal(kek_v1, b"the one", decoy))])
    database.execute(f"ALTER TABLE llm_providers ADD CONSTRAINT {name} {definition} NOT VALID")
    database.execute(f"COMMENT ON CONSTRAINT {name} ON llm_providers IS %s", (comment,))
    refused(lambda: database.execute(f"ALTER TABLE llm_providers VALIDATE CONSTRAINT {name}"))
    assert not status(tool)[0]["validated"]
    fence(tool, "add").expect(1)
    database.execute("DELETE FROM llm_providers WHERE id = 70000000")
    fence(tool, "add").expect(0)
    assert status(tool)[0]["validated"]


def test_a_kill_between_adding_and_validating(database, tool, table, kek_v1, kek_v2):
    """The constraint refuses late writers from then on; `status` tells what is lacking, and `add` goes on from there."""
    database.execute(
        "INSERT INTO llm_providers SELECT 1000 + g, NULL, %s FROM generate_series(1, 300000) g",
        (seal(kek_v2, b"x").bytes,),
    )
    watcher = database.connect("watcher", autocommit=True)
    process = tool.start_command("fence", "add", "--catalog", tool.catalog)
    with watcher.cursor() as cursor:
        deadline = time.monotonic() + 30
        found = None
        while found is None and time.monotonic() < deadline:
            cursor.execute("SELECT conname FROM pg_constraint WHERE conname LIKE 'reencrypt%'")
            found = cursor.fetchone()
    process.send(signal.SIGKILL)
    assert process.wait().exit_code == -signal.SIGKILL
    wait_until(
        lambda: database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'reencrypt%'"
        ) == 0,
        "the server has noticed",
    )  # fmt: skip
    [column] = status(tool)
    assert not column["validated"], "the kill came too late"
    assert "not validated" in fence(tool, "status").stdout
    refused(lambda: table.insert([(100, seal(kek_v1, b"late"))]))
    fence(tool, "add").expect(0)
    assert status(tool)[0]["validated"] and len(constraints(database)) == 1


# MARK: trees


PARTITIONED = """
    CREATE TABLE "Odd ""S"."T" (tenant int, id int, "a b" bytea, c jsonb, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
    CREATE TABLE "Odd ""S".p1 PARTITION OF "Odd ""S"."T" FOR VALUES IN (1);
    CREATE TABLE "Odd ""S".p2 PARTITION OF "Odd ""S"."T" FOR VALUES IN (2) PARTITION BY RANGE (id);
    CREATE TABLE "Odd ""S".p2a PARTITION OF "Odd ""S".p2 FOR VALUES FROM (0) TO (1000)
"""
INHERITED = """
    CREATE TABLE "Odd ""S"."T" (tenant int, id int, "a b" bytea, c jsonb, PRIMARY KEY (tenant, id));
    CREATE TABLE "Odd ""S".p1 (PRIMARY KEY (tenant, id)) INHERITS ("Odd ""S"."T");
    CREATE TABLE "Odd ""S".p2a (PRIMARY KEY (tenant, id)) INHERITS ("Odd ""S".p1)
"""
ENTRY = {"name": '"Odd ""S"."T"', "encrypted_columns": ["a b", "c"]}


@pytest.mark.parametrize("definition", [PARTITIONED, INHERITED], ids=["partitioned", "inherited"])
@pytest.mark.parametrize("log_only", [False, True], ids=["constraint", "log-only"])
def test_a_fence_covers_every_part_of_a_tree(server, database, tool, kek_v1, kek_v2, definition, log_only):
    database.execute('CREATE SCHEMA "Odd ""S"')
    database.execute(definition)
    tool.write_catalog(ENTRY)
    old, new = seal(kek_v1, b"x"), seal(kek_v2, b"x")
    insert = 'INSERT INTO "Odd ""S".{} VALUES (%s, %s, %s, %s)'
    fence(tool, "add", *(["--log-only"] if log_only else [])).expect(0)
    rows = [("p1", 1, old.bytes, None), ("p2a", 2, None, old.text), ('"T"', 1, old.bytes, new.text)]
    for number, (relation, tenant, first, second) in enumerate(rows):
        action = lambda: database.execute(insert.format(relation), (tenant, number, first, second))  # noqa: E731
        action() if log_only else refused(action)
    database.execute(insert.format("p2a"), (2, 90, new.bytes, new.text))
    if log_only:
        said = re.findall(r'fence: (Odd "S\.\S+\.[^:]+): .*\(id=(.*?)\) by application "test"', server.log.read_text())
        last = '"T"' if definition is INHERITED else "p1"
        assert said[-3:] == [
            ('Odd "S.p1.a b', "1, 0"),
            ('Odd "S.p2a.c', "2, 1"),
            ('Odd "S.' + last.strip('"') + ".a b", "1, 2"),
        ]
    assert all(column["log_only"] == log_only and column["present"] != log_only for column in status(tool))
    fence(tool, "drop").expect(0)
    assert not any(column["log_only"] or column["constraints"] for column in status(tool))
    assert constraints(database) == []
    assert database.value("SELECT count(*) FROM pg_proc WHERE proname LIKE 'reencrypt%'") == 0


def test_a_partition_that_is_attached_needs_the_constraint_to_be_attached_quickly(database, tool, kek_v1, kek_v2):
    database.execute('CREATE SCHEMA "Odd ""S"')
    database.execute(PARTITIONED)
    tool.write_catalog(ENTRY)
    fence(tool, "add").expect(0)
    bare = 'CREATE TABLE "Odd ""S".p3 (tenant int NOT NULL, id int NOT NULL, "a b" bytea, c jsonb)'
    attach = 'ALTER TABLE "Odd ""S"."T" ATTACH PARTITION "Odd ""S".p3 FOR VALUES IN (3)'
    database.execute(bare)
    with pytest.raises(psycopg2.Error, match="child table is missing constraint"):
        database.execute(attach)
    database.execute('DROP TABLE "Odd ""S".p3')
    # LIKE … INCLUDING CONSTRAINTS makes it, and an old value is refused before it gets in.
    database.execute('CREATE TABLE "Odd ""S".p3 (LIKE "Odd ""S"."T" INCLUDING CONSTRAINTS)')
    refused(
        lambda: database.execute('INSERT INTO "Odd ""S".p3 VALUES (3, 1, %s, NULL)', (seal(kek_v1, b"x").bytes,))
    )
    database.execute(attach)
    assert all(column["validated"] and not column["lacking"] for column in status(tool))
    fence(tool, "drop").expect(0)
    assert constraints(database) == []


# MARK: targets


def test_run_and_dry_run_refuse_a_target_that_a_fence_denies(make_tool, database, table, tool, kek_v1, kek_v2):
    fence(tool, "add").expect(0)
    back = make_tool(database.url, primary=kek_v1, previous=[kek_v2])
    back.write_catalog(table)
    for arguments in ([], ["--dry-run"]):
        back.run(*arguments).expect_refusal("a fence refuses values under kek-v1", "fence drop", NAME)
    # The comment is not what counts.
    [name] = constraints(database)
    database.execute(f"COMMENT ON CONSTRAINT {name} ON llm_providers IS 'changed'")
    back.run().expect_refusal("a fence refuses values under kek-v1")
    assert status(tool)[0]["retired"] == ["kek-v1"]
    fence(tool, "add").expect(0)
    comment = "SELECT obj_description(oid) FROM pg_constraint WHERE conname = %s"
    assert json.loads(database.value(comment, (name,)))["retired"] == ["kek-v1"]
    assert status(tool)[0]["retired"] == ["kek-v1"] and constraints(database) == [name]
    fence(back, "drop").expect(0)
    back.run().expect(0)
    table.assert_opens_with(kek_v1)


def test_a_log_only_fence_names_the_writer_and_lets_the_rotation_go_on(server, database, tool, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v1, range(1, 20))
    tool.write_catalog(table)
    fence(tool, "add", "--log-only").expect(0)
    connection = database.connect("billing-worker-7", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE llm_providers SET name = 'x' WHERE id = 1")  # an old row's other column
        cursor.execute("INSERT INTO llm_providers VALUES (77, NULL, %s)", (seal(kek_v1, b"late").bytes,))
    log = server.log.read_text()
    assert 'llm_providers.api_key_encrypted: a value under a retired key was written (id=77) by application "billing-worker-7"' in log  # fmt: skip
    assert log.count('by application "billing-worker-7"') == 1
    outcome = tool.run().expect(0)
    assert "run for every rewrapped row: trigger" in outcome.stderr
    table.assert_opens_with(kek_v2, plaintexts={77: b"late"})


# MARK: printing


@pytest.mark.parametrize("conforming", ["on", "off"])
@pytest.mark.parametrize("log_only", [False, True], ids=["constraint", "log-only"])
def test_print_sql_runs_in_psql(server, database, tool, kek_v1, kek_v2, conforming, log_only):
    tables = [
        SecretsTable(database, name=f"t_{kind}", column_type=kind).create().fill(kek_v2, range(3))
        for kind in COLUMN_TYPES
    ]
    tool.write_catalog(*tables)
    form = ["--log-only"] if log_only else []
    database.set("standard_conforming_strings", conforming)
    psql = [str(server.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.url]
    for verb in ("add", "drop"):
        before = status(tool)
        sql = fence(tool, verb, "--print-sql", *(form if verb == "add" else [])).expect(0).stdout
        assert status(tool) == before
        outcome = subprocess.run(psql, input=sql, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stderr
        after = status(tool)
        if verb == "add":
            assert all(c["log_only"] if log_only else c["validated"] for c in after), after
            if not log_only:
                for table in tables:
                    refused(lambda: table.insert([(100, seal(kek_v1, b"late"))]))
                assert "has this fence already" in fence(tool, "add").expect(0).stderr
        else:
            assert not any(c["log_only"] or c["constraints"] for c in after), after


def test_a_dump_restores_with_its_fence(server, database, tool, table, kek_v1):
    fence(tool, "add").expect(0)
    dump = subprocess.run([str(server.bin / "pg_dump"), database.url], capture_output=True, text=True, check=True).stdout
    database.execute("DROP TABLE llm_providers")
    subprocess.run(
        [str(server.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.url], input=dump, text=True,
        check=True, capture_output=True,
    )  # fmt: skip
    refused(lambda: table.insert([(100, seal(kek_v1, b"late"))]))
    assert status(tool)[0]["validated"] and status(tool)[0]["retired"] == ["kek-v1"]


@pytest.mark.alone
def test_adding_it_under_a_load_holds_no_writer_longer_than_the_time_out(database, tool, table, kek_v2):
    """An application writes all the time while a long transaction keeps the lock away."""
    value = seal(kek_v2, b"x").bytes
    stop, slowest, problems = threading.Event(), [0.0], []

    def write():
        connection = database.connect("writer", autocommit=True)
        try:
            with connection.cursor() as cursor:
                while not stop.is_set():
                    start = time.monotonic()
                    cursor.execute("UPDATE llm_providers SET api_key_encrypted = %s WHERE id = 1", (value,))
                    slowest[0] = max(slowest[0], time.monotonic() - start)
        except psycopg2.Error as error:
            problems.append(error)

    blocker = database.connect("report")
    with blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM llm_providers")
    writer = threading.Thread(target=write)
    writer.start()
    process = tool.start_command(
        "fence", "add", "--catalog", tool.catalog, "--lock-timeout", "400", "--attempts", "30"
    )
    deadline = time.monotonic() + 30
    while process.stderr_so_far().count("came to nothing") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    blocker.rollback()
    process.wait().expect(0)
    stop.set()
    writer.join()
    assert not problems
    assert 0.3 < slowest[0] < 0.4 + 0.6, "the time-out, and what a busy machine adds"


def test_a_fence_of_the_wrong_keys_is_refused_by_name(tool, table):
    fence(tool, "add", "--retired", "kek-v2").expect_refusal("not the primary key's")
    fence(tool, "add", "--retired", "kek v1").expect_refusal("--retired takes ids")
    environment = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    fence(tool, "add", environment=environment).expect_refusal("no key is retired")
