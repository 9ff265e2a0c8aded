"""Old envelopes in every place that PostgreSQL has for text: `verify` proves nothing while there is one."""

import base64
import json

import pytest
from psycopg2 import Binary, errors, sql

from envelope_reference import KeyEncryptionKey, seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until


@pytest.fixture
def table(database, tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(10))
    tool.write_catalog(table)
    return table


@pytest.fixture
def old(kek_v1):
    """The text of an envelope under the old key."""
    return seal(kek_v1, b"a secret").text


def verify(tool, *arguments, **options):
    return tool.command("verify", "--catalog", tool.catalog, *arguments, **options)


def literal(text, cursor):
    return sql.Literal(text).as_string(cursor)


def run_with(database, statements, text):
    """Runs the statements with every `%s` replaced by the text as a literal: DDL takes no parameters."""
    with database.transaction() as cursor:
        quoted = literal(text, cursor)
        for statement in statements:
            cursor.execute(statement.replace("%s", quoted))


# A column of each type that can hold text, and how the envelope gets into it.
COLUMNS = {
    "text[]": ([], "text[]", "ARRAY['x', %s]"),
    "two dimensions": ([], "text[]", "ARRAY[ARRAY['x', 'y'], ARRAY[%s, 'z']]"),
    "bytea[]": ([], "bytea[]", "ARRAY[convert_to(%s, 'UTF8')]"),
    "varchar[]": ([], "varchar(4000)[]", "ARRAY[%s]::varchar[]"),
    "json[]": ([], "json[]", "ARRAY[%s::json]"),
    "jsonb[]": ([], "jsonb[]", "ARRAY[%s::jsonb]"),
    "domain over an array": (["CREATE DOMAIN secrets AS text[]"], "secrets", "ARRAY[%s]"),
    "array of a domain": (["CREATE DOMAIN secret AS text"], "secret[]", "ARRAY[%s::secret]"),
    "domain over an array of a domain": (
        ["CREATE DOMAIN secret AS bytea", "CREATE DOMAIN secrets AS secret[]"],
        "secrets",
        "ARRAY[convert_to(%s, 'UTF8')::secret]",
    ),
    "composite": (["CREATE TYPE pair AS (n int, secret text)"], "pair", "ROW(1, %s)::pair"),
    "composite of bytea": (["CREATE TYPE pair AS (n int, secret bytea)"], "pair", "ROW(1, convert_to(%s, 'UTF8'))::pair"),
    "array of composites": (["CREATE TYPE pair AS (n int, secret text)"], "pair[]", "ARRAY[ROW(1, %s)::pair]"),
    "composite of arrays": (["CREATE TYPE pair AS (n int, secrets text[])"], "pair", "ROW(1, ARRAY[%s])::pair"),
    "row of a table": (["CREATE TABLE shape (n int, secret text)"], "shape", "ROW(1, %s)::shape"),
    "hstore": (["CREATE EXTENSION hstore"], "hstore", "hstore('secret', %s)"),
    "citext": (["CREATE EXTENSION citext"], "citext", "%s"),
    "citext[]": (["CREATE EXTENSION citext"], "citext[]", "ARRAY[%s::citext]"),
    "xml": ([], "xml", "xmlelement(name secret, %s)"),
    "tsvector": ([], "tsvector", "array_to_tsvector(ARRAY[%s])"),
    "jsonpath": ([], "jsonpath", "('$ ? (@ == ' || to_json(%s::text) || ')')::jsonpath"),
    "range of text": (["CREATE TYPE span AS RANGE (subtype = text)"], "span", "span(%s, NULL)"),
    "multirange of text": (["CREATE TYPE span AS RANGE (subtype = text)"], "span_multirange", "span_multirange(span(%s, NULL))"),
    "base64 in text": ([], "text", "encode(convert_to(%s, 'UTF8'), 'base64')"),
    "hex in text": ([], "text", "encode(convert_to(%s, 'UTF8'), 'hex')"),
}


@pytest.mark.parametrize("label", COLUMNS)
def test_every_type_that_can_hold_text(database, tool, table, old, label):
    definitions, column_type, value = COLUMNS[label]
    create = f"CREATE TABLE forgotten (id int, payload {column_type})"
    try:
        run_with(database, [*definitions, create, f"INSERT INTO forgotten VALUES (1, {value})"], old)
    except errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL is built without it")
    outcome = verify(tool).expect(2)
    assert "public.forgotten.payload holds" in outcome.stdout
    assert "kek-v1" in outcome.stdout.split("What speaks against it")[1].split("Where and how")[0]


@pytest.mark.parametrize("column_type", ["int[]", "numeric", "uuid[]", "inet", "bit varying", "int4range", "point[]"])
def test_types_that_hold_no_text_cost_nothing(database, tool, table, column_type):
    database.execute(f"CREATE TABLE numbers (id int, payload {column_type})")
    verify(tool).expect(0)


def test_an_escaped_envelope_in_an_array(database, tool, table, old):
    escaped = old.replace("dek_wrapped", r"\u0064ek_wrapped")
    assert escaped != old
    database.execute("CREATE TABLE forgotten (id int, payload text[])")
    database.execute("INSERT INTO forgotten VALUES (1, %s)", ([escaped],))
    assert "public.forgotten.payload holds" in verify(tool).expect(2).stdout


def test_a_large_array(database, tool, table, kek_v1):
    """It is larger than a single envelope may be, stored too."""
    database.execute("CREATE TABLE forgotten (id int, payload text[])")
    database.execute("INSERT INTO forgotten VALUES (1, %s)", ([seal(kek_v1, b"x").text for _ in range(1000)],))
    assert database.value("SELECT pg_column_size(payload) FROM forgotten") > 65_536
    assert "public.forgotten.payload holds" in verify(tool).expect(2).stdout


def test_an_array_that_is_small_where_it_is_stored(database, tool, table, old):
    database.execute("CREATE TABLE forgotten (id int, payload text[])")
    database.execute(
        "INSERT INTO forgotten VALUES (1, array_fill('x'::text, ARRAY[200000]) || ARRAY[%s])", (old,)
    )
    assert database.value("SELECT pg_column_size(payload) FROM forgotten") < 65_536
    assert "public.forgotten.payload holds" in verify(tool).expect(2).stdout


def test_a_cast_of_somebody_else_is_not_called(database, tool, table, old):
    """A cast to text is a function of whoever owns the type: neither believed nor run."""
    run_with(
        database,
        [
            "CREATE TYPE pair AS (n int, secret text)",
            "CREATE TABLE called ()",
            "CREATE FUNCTION hide(pair) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN ''; END$$",
            "CREATE CAST (pair AS text) WITH FUNCTION hide(pair)",
            "CREATE TABLE forgotten (id int, payload pair)",
            "INSERT INTO forgotten VALUES (1, ROW(1, %s)::pair)",
        ],
        old,
    )
    assert "public.forgotten.payload holds" in verify(tool).expect(2).stdout


def test_a_type_that_cannot_be_written_out(database, tool, table, old):
    """An objection by name; and it hides no column beside it."""
    with database.transaction() as cursor:
        cursor.execute("CREATE TYPE sealed")
        cursor.execute("CREATE FUNCTION sealed_in(cstring) RETURNS sealed LANGUAGE internal STRICT AS 'byteain'")
        cursor.execute("CREATE FUNCTION sealed_out(sealed) RETURNS cstring LANGUAGE internal STRICT AS 'pg_ddl_command_out'")
        cursor.execute("CREATE TYPE sealed (INPUT = sealed_in, OUTPUT = sealed_out)")
        cursor.execute("CREATE TABLE forgotten (id int, payload text, burden sealed)")
        cursor.execute("INSERT INTO forgotten VALUES (1, %s, 'x')", (old,))
    objections = verify(tool).expect(2).stdout.split("What speaks against it")[1]
    assert "public.forgotten.payload holds envelopes under kek-v1" in objections
    assert "public.forgotten (burden) could not be looked at" in objections


# Places that are no column of a table: what puts the envelope there, and what the objection calls it.
PLACES = {
    "default": (["CREATE TABLE t (id int, secret text DEFAULT %s)"], "default value for column secret of table public.t"),
    "bytea default": (["CREATE TABLE t (id int, secret bytea DEFAULT convert_to(%s, 'UTF8'))"], "default value for column secret of table public.t"),
    "jsonb default": (["CREATE TABLE t (id int, secret jsonb DEFAULT %s::jsonb)"], "default value for column secret of table public.t"),
    "domain default": (["CREATE DOMAIN secret AS text DEFAULT %s"], "type public.secret"),
    "check": (["CREATE TABLE t (id int, CONSTRAINT c CHECK (id::text <> %s))"], "constraint c on table public.t"),
    "index predicate": (["CREATE TABLE t (id int, s text)", "CREATE INDEX i ON t (id) WHERE s <> %s"], "index public.i"),
    "index expression": (["CREATE TABLE t (id int, s text)", "CREATE INDEX i ON t (coalesce(s, %s))"], "index public.i"),
    "view": (["CREATE VIEW v AS SELECT %s::text AS secret"], "view public.v"),
    "rule": (["CREATE TABLE t (s text)", "CREATE RULE r AS ON INSERT TO t DO ALSO UPDATE t SET s = %s"], "rule r on table public.t"),
    "function": (["CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $f$BEGIN RETURN %s; END$f$"], "function public.f()"),
    "sql function body": (["CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN %s::text"], "function public.f()"),
    "parameter default": (["CREATE FUNCTION f(s text DEFAULT %s) RETURNS int LANGUAGE sql AS 'SELECT 1'"], "function public.f(text)"),
    "trigger argument": (
        [
            "CREATE TABLE t (s text)",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(%s)",
        ],
        "trigger g on table public.t",
    ),
    "policy": (["CREATE TABLE t (s text)", "CREATE POLICY p ON t USING (s <> %s)"], "policy p on table public.t"),
    "partition bound": (
        ["CREATE TABLE t (s text) PARTITION BY LIST (s)", "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (%s)"],
        "table public.t1",
    ),
    "comment": (["CREATE TABLE t (s int)", "COMMENT ON COLUMN t.s IS %s"], "column s of table public.t"),
    "missing value": (
        ["CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN s text DEFAULT %s",
         "ALTER TABLE t ALTER COLUMN s DROP DEFAULT", "UPDATE t SET s = 'x'"],
        "column s of table public.t",
    ),
    "statistics of a foreign server": (
        ["CREATE FOREIGN DATA WRAPPER w", "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (secret %s)"], "server s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", PLACES)
def test_every_place_in_the_system_catalogs(database, tool, table, old, label):
    statements, name = PLACES[label]
    run_with(database, statements, old)
    objections = verify(tool).expect(2).stdout.split("What speaks against it")[1].split("Where and how")[0]
    assert name in objections
    # The members of a jsonb constant are stored apart from their values: whose envelope it is, nobody can tell there.
    assert "kek-v1" in objections or label == "jsonb default"


def test_a_setting_of_the_database(database, tool, table, old):
    database.set("app.secret", old)
    assert "kek-v1" in verify(tool).expect(2).stdout.split("What speaks against it")[1]


def test_code_that_makes_envelopes_is_no_envelope(database, tool, table):
    """A function, a constraint and a view that name every member hold none."""
    database.execute(
        "CREATE FUNCTION seal(text) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('version', 1, 'alg', "
        "'AES-256-GCM', 'key_id', 'kek-v1', 'dek_wrapped', $1, 'nonce', $1, 'ciphertext', $1)$$"
    )
    database.execute(
        "CREATE VIEW labels AS SELECT seal('x') ->> 'key_id' AS k, seal('x') ->> 'dek_wrapped' AS d, "
        "seal('x') ->> 'nonce' AS n, seal('x') ->> 'ciphertext' AS c"
    )
    database.execute(
        f"ALTER TABLE {table.sql_name} ADD CONSTRAINT shape CHECK (convert_from({table.column}, 'UTF8')::jsonb ?& "
        "ARRAY['key_id', 'dek_wrapped', 'nonce', 'ciphertext'])"
    )
    verify(tool).expect(0)


# Large objects


def put_large_object(database, content) -> int:
    return database.value("SELECT lo_from_bytea(0, %s)", (Binary(content),))


def test_large_objects(database, tool, table, old):
    number = put_large_object(database, old.encode())
    outcome = verify(tool).expect(2)
    assert f"large object {number}" in outcome.stdout
    assert "kek-v1" in outcome.stdout.split("What speaks against it")[1]
    tool.write_catalog(table, ignore=["pg_catalog.pg_largeobject.data"])
    assert f"change or drop large object {number}" in verify(tool).expect(2).stdout, "the key is one of ours"
    database.execute("SELECT lo_unlink(%s)", (number,))
    put_large_object(database, seal(KeyEncryptionKey.generate("crm-7"), b"x").bytes)
    verify(tool).expect(0)


def test_a_large_object_in_the_middle_of_which_an_envelope_stands(database, tool, table, old):
    put_large_object(database, b"x" * 150_000 + old.encode())
    assert "large object" in verify(tool).expect(2).stdout


def test_large_objects_without_envelopes(database, tool, table):
    for _ in range(3):
        put_large_object(database, b"a picture")
    verify(tool).expect(0)


def test_large_objects_that_may_not_be_read(database, tool, make_tool, table):
    role = database.create_role("reader")
    number = put_large_object(database, b"a picture")
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}")
    reader = make_tool(database.url_as(role))
    reader.write_catalog(table)
    assert f"large object {number}" in verify(reader).expect(2).stdout
    database.execute(f"GRANT SELECT ON LARGE OBJECT {number} TO {role}")
    verify(reader).expect(0)


def test_old_envelopes_in_large_objects_that_an_ordinary_role_may_read(database, make_tool, table, old):
    role = database.create_role("reader")
    number = put_large_object(database, old.encode())
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}")
    database.execute(f"GRANT SELECT ON LARGE OBJECT {number} TO {role}")
    reader = make_tool(database.url_as(role))
    reader.write_catalog(table)
    assert f"large object {number}" in verify(reader).expect(2).stdout


# Relations


@pytest.mark.parametrize("definition", [
    "CREATE UNLOGGED TABLE forgotten (id int, payload text)",
    "CREATE SCHEMA attic; CREATE TABLE attic.forgotten (id int, payload text)",
    "CREATE TABLE parent (id int, payload text); CREATE TABLE forgotten () INHERITS (parent)",
])  # fmt: skip
def test_every_kind_of_table(database, tool, table, old, definition):
    database.execute(definition)
    name = "attic.forgotten" if "attic" in definition else "forgotten"
    database.execute(f"INSERT INTO {name} VALUES (1, %s)", (old,))
    assert "forgotten.payload holds envelopes under kek-v1" in verify(tool).expect(2).stdout


def test_a_table_among_the_systems_own(database, tool, table, old):
    with database.transaction() as cursor:
        cursor.execute("SET allow_system_table_mods = on")
        cursor.execute("CREATE TABLE information_schema.forgotten (id int, payload text)")
        cursor.execute("INSERT INTO information_schema.forgotten VALUES (1, %s)", (old,))
    assert "information_schema.forgotten.payload holds" in verify(tool).expect(2).stdout


def test_limits_name_what_is_not_looked_at(database, server, tool, table):
    database.execute("CREATE EXTENSION postgres_fdw")
    database.execute("CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw")
    database.execute("CREATE FOREIGN TABLE far (id int, payload text) SERVER elsewhere")
    limits = verify(tool).expect(0).stdout.split("What this does not prove")[1]
    assert "postgres" in limits and "other databases of this server" in limits
    assert "public.far" in limits and "foreign" in limits


# A table that is renamed meanwhile


def waits_for_a_lock(database):
    return lambda: database.value(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted "
        "AND l.locktype = 'relation' AND l.relation::regclass::text = 'forgotten' AND a.datname = current_database()"
    )


# Old values in the table that is searched; then what another session commits while the search waits for its lock.
MEANWHILE = {
    "renamed": ["ALTER TABLE forgotten RENAME TO remembered"],
    "in another schema": ["ALTER TABLE forgotten SET SCHEMA attic"],
    "swapped": ["ALTER TABLE forgotten RENAME TO remembered", "CREATE TABLE forgotten (id int, payload text)"],
    "a column renamed": ["ALTER TABLE forgotten RENAME COLUMN payload TO burden"],
    "columns swapped": [
        "ALTER TABLE forgotten RENAME COLUMN payload TO burden",
        "ALTER TABLE forgotten ADD COLUMN payload text",
    ],
    "another type": ["ALTER TABLE forgotten ALTER COLUMN payload TYPE bytea USING convert_to(payload, 'UTF8')"],
    "replaced": ["CREATE TABLE remembered AS SELECT * FROM forgotten", "DROP TABLE forgotten"],
}


@pytest.mark.parametrize("label", MEANWHILE)
def test_names_that_lead_elsewhere_during_the_search(database, tool, table, old, label):
    database.execute("CREATE SCHEMA attic; CREATE TABLE forgotten (id int, payload text)")
    database.execute("INSERT INTO forgotten VALUES (1, %s)", (old,))
    holder = database.connect()
    with holder.cursor() as cursor:
        for statement in MEANWHILE[label]:
            cursor.execute(statement)
        process = tool.start_command("verify", "--catalog", tool.catalog)
        wait_until(waits_for_a_lock(database), "the search waits for the lock")
        holder.commit()
    outcome = process.wait().expect(2)
    assert "under kek-v1 and is in no catalog" in outcome.stdout


def test_a_table_that_is_dropped_meanwhile_is_gone(database, tool, table, old):
    database.execute("CREATE TABLE forgotten (id int, payload text)")
    database.execute("INSERT INTO forgotten VALUES (1, %s)", (old,))
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute("DROP TABLE forgotten")
        process = tool.start_command("verify", "--catalog", tool.catalog)
        wait_until(waits_for_a_lock(database), "the search waits for the lock")
        holder.commit()
    process.wait().expect(0)


def test_a_lock_that_is_held_is_an_objection(database, tool, table):
    database.execute("CREATE TABLE forgotten (id int, payload text)")
    with database.connect().cursor() as cursor:
        cursor.execute("LOCK TABLE forgotten")
        assert "public.forgotten (payload) could not be looked at" in verify(tool).expect(2).stdout


def test_discovery_names_arrays(database, tool, table, old):
    database.execute("CREATE TABLE forgotten (id int PRIMARY KEY, payload text[])")
    database.execute("INSERT INTO forgotten VALUES (1, %s)", ([old],))
    outcome = tool.command("catalog", "discover", "--catalog", tool.catalog, "--json").expect(0)
    (finding,) = json.loads(outcome.stdout)["findings"]
    assert (finding["reason"], finding["key_ids"]) == ("embedded envelopes", ["kek-v1"])


def test_base64_at_every_offset(database, tool, table, old):
    for offset in range(3):
        database.execute("DROP TABLE IF EXISTS forgotten")
        database.execute("CREATE TABLE forgotten (id int, payload text)")
        encoded = base64.b64encode(b"x" * offset + old.encode()).decode()
        database.execute("INSERT INTO forgotten VALUES (1, %s)", (encoded,))
        assert "public.forgotten.payload holds" in verify(tool).expect(2).stdout
