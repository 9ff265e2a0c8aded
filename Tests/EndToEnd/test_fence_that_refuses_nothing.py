"""A constraint that is called a fence and lets old values in. `fence status` says so, `verify` does not count it, and
`fence add` replaces it: what stands after its exit code 0 refuses the values."""

import json
import os
import subprocess

import psycopg2
import pytest

from envelope_reference import MEMBERS, Spelling, seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until

NAME = "reencrypt_fence_retired_key_see_runbook_0123456789abcdef"
COMMENT = '{"retired":["kek-v1"],"target":"kek-v2"}'


def fence(tool, *arguments, **options):
    return tool.command("fence", *arguments[:1], "--catalog", tool.catalog, *arguments[1:], **options)


def status(tool) -> list:
    return json.loads(fence(tool, "status", "--json").expect(0).stdout)["columns"]


def constraints(database) -> list:
    return [
        row[0] for row in database.rows("SELECT DISTINCT conname FROM pg_constraint WHERE conname LIKE 'reencrypt%'")
    ]


def is_counted(tool) -> bool:
    """Whether `verify` says that a fence refuses retired keys."""
    report = tool.directory / "fence-report.json"
    tool.command("verify", "--catalog", tool.catalog, "--report", report).expect(0)
    return json.loads(report.read_text())["fence"]["is_complete"]


def refuses(action) -> bool:
    try:
        action()
    except psycopg2.errors.CheckViolation:
        return True
    return False


def add_by_hand(database, definition, table="llm_providers", name=NAME):
    """A constraint with a fence's name and comment."""
    database.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    database.execute(f"COMMENT ON CONSTRAINT {name} ON {table} IS '{COMMENT}'")


def definition_of(database, table="llm_providers") -> tuple:
    """Name and definition of the fence that `fence add` has made."""
    return database.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass "
        "AND conname LIKE 'reencrypt%%'",
        (table,),
    )[0]


COLUMN = "api_key_encrypted"
WEAK = {
    "always true": ("bytea", f"CHECK ({COLUMN} IS NOT NULL OR true)"),
    "always true and names the id": ("text", f"CHECK ({COLUMN} <> '\"kek-v1\"' OR true)"),
    "the canonical spelling alone, in bytea": (
        "bytea",
        f"CHECK (position('\"key_id\":\"kek-v1\"'::bytea in {COLUMN}) = 0 OR position('\"kek-v1\"'::bytea in {COLUMN}) = 0)",
    ),
    "the canonical spelling alone, in text": (
        "text",
        f"""CHECK ({COLUMN} !~ '^{{"version":1,"alg":"AES-256-GCM","key_id":"kek-v1"' AND {COLUMN} <> '"kek-v1"')""",
    ),
    "another member of jsonb": ("jsonb", f"CHECK (({COLUMN} ->> 'KEY_ID') <> ALL (ARRAY['kek-v1']))"),
    "not in another collation": (
        "text",
        f"CHECK ({COLUMN} COLLATE \"C\" <> '\"kek-v1\"' OR {COLUMN} <> 'x')",
    ),
}


@pytest.mark.parametrize("what", WEAK)
def test_a_hand_made_constraint_with_its_name_and_comment(database, tool, kek_v1, kek_v2, what):
    column_type, definition = WEAK[what]
    table = SecretsTable(database, column_type=column_type).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    add_by_hand(database, definition)
    [column] = status(tool)
    assert not column["present"] and not column["validated"] and column["retired"] == [], column
    assert [line.split(": ")[0] for line in column["ineffective"]] == [NAME], column
    assert "counts for nothing" in fence(tool, "status").stdout
    assert not is_counted(tool)
    fence(tool, "add").expect(0)
    spelling = Spelling(order=MEMBERS[::-1], before_value=" ")
    assert refuses(lambda: table.insert([(100, seal(kek_v1, b"late", spelling))]))
    [column] = status(tool)
    assert column["present"] and column["validated"] and column["retired"] == ["kek-v1"], column
    assert column["ineffective"] == [] and NAME not in constraints(database)
    assert is_counted(tool)


def test_a_changed_copy_of_the_definition(database, tool, kek_v1, kek_v2):
    """One word of the fence's own definition is another."""
    table = SecretsTable(database, column_type="text").create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    fence(tool, "add").expect(0)
    name, definition = definition_of(database)
    for before, after in [
        ("THEN false", "THEN true"),
        ("!~", "~"),
        ("(?<!\\\\)", "(?<=\\\\)"),
        (" = 0)", " >= 0)"),
        ('COLLATE "C"', 'COLLATE "POSIX"'),
    ]:
        assert before in definition, before
        database.execute(f"ALTER TABLE llm_providers DROP CONSTRAINT {name}")
        add_by_hand(database, definition.replace(before, after), name=name)
        [column] = status(tool)
        assert not column["present"] and len(column["ineffective"]) == 1, (before, column)
        fence(tool, "add").expect(0)
        assert status(tool)[0]["present"], before
        [name] = constraints(database)
    assert refuses(lambda: table.insert([(100, seal(kek_v1, b"late"))]))


def test_somebodys_functions_are_not_called(database, tool, kek_v1, kek_v2):
    """A constraint on which `status`, `run`, `verify` and `fence add` would run code of the table's owner."""
    table = SecretsTable(database, column_type="text").create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    database.execute(
        """
        CREATE TABLE called (n int);
        CREATE FUNCTION stealthy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN RAISE LOG 'stealthy has been called by %', current_setting('application_name'); RETURN true; END $$
        """
    )
    add_by_hand(database, f"""CHECK (stealthy('"kek-v1"') AND {COLUMN} <> '"kek-v1"')""")
    fence(tool, "status").expect(0)
    tool.command("verify", "--catalog", tool.catalog).expect(0)
    fence(tool, "add").expect(0)
    tool.run().expect(0)
    log = database.server.log.read_text()
    assert "called by reencrypt-secrets" not in log.replace("called by reencrypt-secrets fence", "")
    assert refuses(lambda: table.insert([(100, seal(kek_v1, b"late"))]))


def test_a_fence_made_again_without_inheritance(database, tool, kek_v1, kek_v2):
    """NO INHERIT: the children do not have it."""
    parent = SecretsTable(database, name="parent").create().fill(kek_v2, range(1, 20))
    database.execute("CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)")
    tool.write_catalog(parent)
    fence(tool, "add").expect(0)
    name, definition = definition_of(database, "parent")
    database.execute(f"ALTER TABLE parent DROP CONSTRAINT {name}")
    add_by_hand(database, definition + " NO INHERIT", "parent", name)
    [column] = status(tool)
    assert not column["present"] and "NO INHERIT" in column["ineffective"][0], column
    assert not is_counted(tool)
    fence(tool, "add").expect(0)
    late = lambda: database.execute("INSERT INTO child VALUES (900, NULL, %s)", (seal(kek_v1, b"late").bytes,))  # noqa: E731
    assert refuses(late)
    assert is_counted(tool) and len(constraints(database)) == 1


def test_a_fence_that_is_not_enforced(database, tool, kek_v1, kek_v2):
    if database.value("SELECT current_setting('server_version_num')::int") < 180_000:
        pytest.skip("NOT ENFORCED is PostgreSQL 18's")
    table = SecretsTable(database).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    fence(tool, "add").expect(0)
    name, definition = definition_of(database)
    database.execute(f"ALTER TABLE llm_providers DROP CONSTRAINT {name}")
    add_by_hand(database, definition + " NOT ENFORCED", name=name)
    [column] = status(tool)
    assert not column["present"] and "NOT ENFORCED" in column["ineffective"][0], column
    fence(tool, "add").expect(0)
    assert refuses(lambda: table.insert([(100, seal(kek_v1, b"late"))]))
    assert status(tool)[0]["validated"] and is_counted(tool)


ODD_SETTINGS = {
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "transform_null_equals": "on",
    "from_collapse_limit": "1",
    "plan_cache_mode": "force_generic_plan",
    "constraint_exclusion": "on",
    "jit_above_cost": "0",
    "default_transaction_read_only": "on",
}


@pytest.mark.slow
def test_it_is_recognised_under_odd_settings(database, tool, kek_v2):
    tables = [
        SecretsTable(database, name=f"t_{kind}", column_type=kind).create().fill(kek_v2, range(3))
        for kind in ("bytea", "text", "varchar", "json", "jsonb")
    ]
    database.execute("CREATE DOMAIN sealed AS varchar(900) CHECK (VALUE <> '')")
    tables.append(SecretsTable(database, name="t_domain", column_type="sealed").create())
    tool.write_catalog(*tables)
    fence(tool, "add").expect(0)
    parallel = "force_parallel_mode" if database.value("SHOW server_version_num") < "160000" else "debug_parallel_query"
    for name, value in {**ODD_SETTINGS, parallel: "on"}.items():
        database.set(name, value)
    assert all(column["validated"] and column["retired"] == ["kek-v1"] for column in status(tool)), status(tool)
    assert is_counted(tool)


def test_it_is_recognised_after_a_change_of_type(database, tool, kek_v2):
    """The server writes the constraint again, with other casts."""
    table = SecretsTable(database, column_type="varchar(900)").create().fill(kek_v2, range(3))
    tool.write_catalog(table)
    fence(tool, "add").expect(0)
    for column_type in ("text", "varchar(800)", "varchar"):
        database.execute(f"ALTER TABLE llm_providers ALTER COLUMN {COLUMN} TYPE {column_type}")
        assert is_counted(tool) and status(tool)[0]["retired"] == ["kek-v1"]
        assert "has this fence already" in fence(tool, "add").expect(0).stderr


def test_a_partition_whose_own_fence_is_another(database, tool, kek_v1, kek_v2):
    """The root's constraint is dropped; one of the partitions keeps a weak one of its own."""
    database.execute(
        f"""
        CREATE TABLE root (id int PRIMARY KEY, {COLUMN} text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF root FOR VALUES FROM (0) TO (100);
        CREATE TABLE p2 PARTITION OF root FOR VALUES FROM (100) TO (200)
        """
    )
    database.execute("INSERT INTO root VALUES (1, %s), (101, %s)", (seal(kek_v2, b"x").text, seal(kek_v2, b"y").text))
    tool.write_catalog({"name": "root", "encrypted_columns": [COLUMN]})
    add_by_hand(database, f"CHECK ({COLUMN} IS NOT NULL OR true)", "p2")
    [column] = status(tool)
    assert not column["present"] and len(column["ineffective"]) == 1, column
    assert not is_counted(tool)
    fence(tool, "add").expect(0)
    assert NAME not in constraints(database) and is_counted(tool)
    # Fences of the partitions alone would leave the next partition open.
    name, definition = definition_of(database, "root")
    database.execute(f"ALTER TABLE root DROP CONSTRAINT {name}")
    for partition in ("p1", "p2"):
        add_by_hand(database, definition, partition, name)
    assert not is_counted(tool)


def test_a_column_that_is_renamed_under_its_fence(database, tool, kek_v1, kek_v2):
    """It keeps the fence; a new column of the old name gets one too, although the name of its constraint is taken."""
    table = SecretsTable(database).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    fence(tool, "add").expect(0)
    database.execute(f"ALTER TABLE llm_providers RENAME COLUMN {COLUMN} TO renamed")
    tool.write_catalog({"name": "llm_providers", "encrypted_columns": ["renamed"]})
    assert status(tool)[0]["validated"] and is_counted(tool)
    assert "has this fence already" in fence(tool, "add").expect(0).stderr
    database.execute(f"ALTER TABLE llm_providers ADD COLUMN {COLUMN} bytea")
    tool.write_catalog({"name": "llm_providers", "encrypted_columns": ["renamed", COLUMN]})
    assert not is_counted(tool)
    fence(tool, "add").expect(0)
    for column in ("renamed", COLUMN):
        value = (seal(kek_v1, b"late").bytes,)
        assert refuses(lambda: database.execute(f"INSERT INTO llm_providers (id, {column}) VALUES (900, %s)", value))
    assert is_counted(tool)


def test_verify_waits_for_an_open_transaction_behind_a_fence_that_knows_one_spelling(database, tool, kek_v1, kek_v2):
    table = SecretsTable(database, column_type="text").create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    add_by_hand(database, WEAK["the canonical spelling alone, in text"][1])
    writer = database.connect("late writer")
    late = seal(kek_v1, b"late", Spelling(order=MEMBERS[::-1])).text
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO llm_providers VALUES (900, NULL, %s)", (late,))
    outcome = tool.command("verify", "--catalog", tool.catalog, "--wait-open-transactions", "1s").expect(2)
    assert "late writer" in outcome.stdout


def test_a_fence_of_another_id_is_not_counted(database, tool, kek_v2):
    """The previous key is kek-v1."""
    table = SecretsTable(database).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    fence(tool, "add", "--retired", "kek-v0", "--allow-unknown-keys").expect(0)
    assert not is_counted(tool)


@pytest.mark.parametrize("left", ["old", "unreadable"])
def test_a_partition_that_is_attached_meanwhile(database, tool, kek_v1, left):
    """It comes after the first look at the tree, with an old value, or with one that no constraint refuses."""
    database.execute(
        f"""
        CREATE TABLE root (id int PRIMARY KEY, {COLUMN} text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF root FOR VALUES FROM (0) TO (100);
        CREATE TABLE p2 (LIKE root INCLUDING INDEXES)
        """
    )
    database.execute("INSERT INTO p2 VALUES (101, %s)", (seal(kek_v1, b"x").text if left == "old" else "no envelope",))
    tool.write_catalog({"name": "root", "encrypted_columns": [COLUMN]})
    operator = database.connect("operator")
    with operator.cursor() as cursor:
        cursor.execute("ALTER TABLE root ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200)")
    process = tool.start_command(
        "fence", "add", "--catalog", tool.catalog, "--lock-timeout", "200", "--attempts", "50"
    )
    waits = "may attach a table"  # the census before the fence waits for it already
    wait_until(lambda: waits in process.stderr_so_far(), "it waits for the operator's transaction")
    operator.commit()
    outcome = process.wait().expect(1)
    assert "public.p2 was attached" in outcome.stderr
    assert constraints(database) == []


def test_what_stands_at_the_end_decides(database, tool, kek_v2):
    """Somebody drops the constraint as soon as it is validated; here, an event trigger."""
    table = SecretsTable(database).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    database.execute(
        """
        CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE name text;
        BEGIN
            SELECT conname INTO name FROM pg_constraint WHERE conname LIKE 'reencrypt%' AND convalidated;
            IF FOUND THEN EXECUTE format('ALTER TABLE public.llm_providers DROP CONSTRAINT %I', name); END IF;
        END $$;
        CREATE EVENT TRIGGER meddle ON ddl_command_end EXECUTE FUNCTION meddle()
        """
    )
    outcome = fence(tool, "add").expect(2)
    assert f'"llm_providers"."{COLUMN}" does not refuse values under kek-v1' in outcome.stderr
    database.execute("DROP EVENT TRIGGER meddle")
    fence(tool, "add").expect(0)


def test_a_table_that_takes_the_place_of_the_fenced_one(database, tool, kek_v1, kek_v2):
    """It has the constraint too; but what was looked at is another table."""
    table = SecretsTable(database).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    database.execute(
        """
        CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF to_regclass('public.first') IS NULL
                AND EXISTS (SELECT FROM pg_constraint WHERE conname LIKE 'reencrypt%' AND convalidated)
            THEN
                ALTER TABLE public.llm_providers RENAME TO first;
                CREATE TABLE public.llm_providers (LIKE public.first INCLUDING ALL);
            END IF;
        END $$;
        CREATE EVENT TRIGGER meddle ON ddl_command_end EXECUTE FUNCTION meddle()
        """
    )
    outcome = fence(tool, "add").expect(2)
    assert "llm_providers is another table than at the start" in outcome.stderr


def test_printed_statements_mean_the_servers_own_functions(server, database, tool, kek_v1, kek_v2):
    """An operator runs them under a path on which somebody else's functions and operators stand before the server's."""
    table = SecretsTable(database).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    database.execute(
        """
        CREATE SCHEMA evil;
        CREATE FUNCTION evil.regexp_replace(text, text, text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '' $$;
        CREATE FUNCTION evil.equal(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;
        CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.equal)
        """
    )
    sql = fence(tool, "add", "--print-sql").expect(0).stdout
    psql = [str(server.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.url]
    path = {**os.environ, "PGOPTIONS": "-c search_path=evil,public,pg_catalog"}
    outcome = subprocess.run(psql, input=sql, capture_output=True, text=True, env=path)
    assert outcome.returncode == 0, outcome.stderr
    assert refuses(lambda: table.insert([(100, seal(kek_v1, b"late"))]))
    assert status(tool)[0]["validated"]
