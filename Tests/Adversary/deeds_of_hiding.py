"""Deeds that lay an old value where nobody may look: other types, other tables, large objects, a subscription's source."""

import psycopg2

from adversary_tables import old
from deed import VERIFICATIONS, Script, deed
from support.waiting import wait_until


def _hidden(name, definition, insertion, make=old, more=()):
    """One place. `insertion` has one text parameter: an old envelope."""

    @deed(f"an old value in {name}", "static", ("verify",), weight=1)
    def hide(world, rng):
        value = make()
        steps = [(insertion, [value])] if "%s" in insertion else [insertion.replace("@", value.replace("'", "''"))]
        return Script([], before=[*more, definition, *steps], hidden=name)

    return hide


_hidden("text[]", "CREATE TABLE shed (id int, v text[])", "INSERT INTO shed VALUES (1, ARRAY['x', %s])")
_hidden("bytea[]", "CREATE TABLE shed (id int, v bytea[])", "INSERT INTO shed VALUES (1, ARRAY[convert_to(%s, 'UTF8')])")
_hidden("jsonb[]", "CREATE TABLE shed (id int, v jsonb[])", "INSERT INTO shed VALUES (1, ARRAY[%s::jsonb])")
_hidden("a domain over an array", "CREATE TABLE shed (id int, v many)", "INSERT INTO shed VALUES (1, ARRAY[%s]::many)",
        more=["CREATE DOMAIN many AS text[]"])  # fmt: skip
_hidden("a composite", "CREATE TABLE shed (id int, v pair)", "INSERT INTO shed VALUES (1, ROW('a', %s)::pair)",
        more=["CREATE TYPE pair AS (a text, b text)"])  # fmt: skip
_hidden("an array of composites", "CREATE TABLE shed (id int, v pair[])",
        "INSERT INTO shed VALUES (1, ARRAY[ROW('a', convert_to(%s, 'UTF8'))::pair])",
        more=["CREATE TYPE pair AS (a text, b bytea)"])  # fmt: skip
_hidden("hstore", "CREATE TABLE shed (id int, v hstore)", "INSERT INTO shed VALUES (1, hstore('k', %s))",
        more=["CREATE EXTENSION hstore"])  # fmt: skip
_hidden("xml", "CREATE TABLE shed (id int, v xml)", "INSERT INTO shed VALUES (1, xmlelement(name a, %s::text))")
_hidden("a large object", "SELECT 1", "SELECT lo_from_bytea(0, convert_to(%s, 'UTF8'))")
_hidden("a column's default", "CREATE TABLE shed (id int, v text)", "ALTER TABLE shed ALTER COLUMN v SET DEFAULT '@'")
_hidden("another table", "CREATE TABLE shed (id int, v text)", "INSERT INTO shed VALUES (1, %s)")
_hidden("a materialised view", "SELECT 1", "CREATE MATERIALIZED VIEW shed AS SELECT %s::text AS v")
_hidden("char(n)", "CREATE TABLE shed (id int, v char(2000))", "INSERT INTO shed VALUES (1, %s)")
_hidden("citext", "CREATE TABLE shed (id int, v citext)", "INSERT INTO shed VALUES (1, %s)",
        more=["CREATE EXTENSION citext"])  # fmt: skip
_hidden("a domain over text", "CREATE TABLE shed (id int, v one)", "INSERT INTO shed VALUES (1, %s)",
        more=["CREATE DOMAIN one AS text"])  # fmt: skip
_hidden("a string inside of jsonb", "CREATE TABLE shed (id int, v jsonb)",
        "INSERT INTO shed VALUES (1, jsonb_build_object('a', jsonb_build_array(%s::text)))")  # fmt: skip
_hidden("an object inside of jsonb", "CREATE TABLE shed (id int, v jsonb)",
        "INSERT INTO shed VALUES (1, jsonb_build_object('a', jsonb_build_array(%s::jsonb)))")  # fmt: skip
_hidden("text behind other text", "CREATE TABLE shed (id int, v text)", "INSERT INTO shed VALUES (1, 'enc: ' || %s)")
_hidden("a value behind many others", "CREATE TABLE shed AS SELECT n AS id, 'nothing'::text AS v FROM generate_series(1, 3000) n",
        "INSERT INTO shed VALUES (3001, %s)")  # fmt: skip
_hidden("an unlogged table of another schema", "CREATE UNLOGGED TABLE attic.shed (v jsonb)",
        "INSERT INTO attic.shed VALUES (%s::jsonb)")  # fmt: skip
_hidden("a column of a catalog table", "ALTER TABLE vault ADD COLUMN other jsonb",
        "UPDATE vault SET other = %s::jsonb WHERE id = 1")  # fmt: skip


@deed("an old value in a column under ignore:", "static", ("verify",), weight=2)
def ignored(world, rng):
    return Script(
        [], hidden="an ignored column", options={"ignore": ["public.shed.v"]},
        before=["CREATE TABLE shed (id int PRIMARY KEY, v text)", ("INSERT INTO shed VALUES (1, %s)", [old()])],
    )  # fmt: skip


@deed("a table outside the catalog is renamed", "names", ("verify",), weight=3)
def renamed_outside(world, rng):
    return Script(
        ["ALTER TABLE shed RENAME TO shack"], hidden="a table outside the catalog",
        before=["CREATE TABLE shed (id int PRIMARY KEY, v text)", ("INSERT INTO shed VALUES (1, %s)", [old()])],
    )  # fmt: skip


@deed("the target of a subscription", "static", ("verify",), weight=1)
def subscription(world, rng):
    """The source holds an old value from before; it arrives when the subscription is enabled."""
    table = world.table("vault")
    source = world.extra_database()
    slot = f"adversary_{source.name}"
    connection = f"host={world.server.socket_directory} port={world.server.port} user=postgres dbname={source.name}"

    def afterwards():
        world.execute("ALTER SUBSCRIPTION adversary ENABLE")
        wait_until(lambda: world.rows("SELECT 1 FROM public.vault WHERE id = 7000001"), "the old value arrives", 20)

    def cleanup():
        for sql in ("ALTER SUBSCRIPTION adversary DISABLE", "ALTER SUBSCRIPTION adversary SET (slot_name = NONE)",
                    "DROP SUBSCRIPTION adversary"):  # fmt: skip
            try:
                world.execute(sql)
            except psycopg2.Error as error:
                world.log(f"-- {error}")
        source.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s "
                       "AND active_pid IS NOT NULL", (slot,))  # fmt: skip
        wait_until(lambda: not source.rows("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active", (slot,)),
                   "the slot is free", 10)  # fmt: skip
        source.execute("SELECT pg_drop_replication_slot(%s)", (slot,))

    source.execute(f"CREATE TABLE vault ({table.columns})")
    source.execute("CREATE PUBLICATION adversary FOR TABLE vault")
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    sql, parameters = table.insertion("vault", [(0, 7_000_001, old())])[0]
    source.execute(sql, parameters)
    world.execute(f"CREATE SUBSCRIPTION adversary CONNECTION '{connection}' PUBLICATION adversary "
                  f"WITH (create_slot = false, slot_name = '{slot}', enabled = false, copy_data = false)")  # fmt: skip
    return Script([], afterwards=afterwards, cleanup=cleanup)


@deed("the table outside the catalog is locked", "names", ("verify",), weight=1)
def locked_outside(world, rng):
    return Script(
        ["LOCK TABLE shed IN ACCESS EXCLUSIVE MODE"], hidden="a locked table outside the catalog",
        before=["CREATE TABLE shed (id int PRIMARY KEY, v text)", ("INSERT INTO shed VALUES (1, %s)", [old()])],
    )  # fmt: skip


@deed("a table outside the catalog changes its schema", "names", ("verify",), weight=1)
def moved_outside(world, rng):
    return Script(
        ["ALTER TABLE shed SET SCHEMA attic"], hidden="a table outside the catalog",
        before=["CREATE TABLE shed (id int PRIMARY KEY, v text)", ("INSERT INTO shed VALUES (1, %s)", [old()])],
    )  # fmt: skip


@deed("a column outside the catalog is renamed", "names", ("verify",), weight=1)
def column_outside(world, rng):
    return Script(
        ["ALTER TABLE shed RENAME COLUMN v TO w"], hidden="a column outside the catalog",
        before=["CREATE TABLE shed (id int PRIMARY KEY, v text)", ("INSERT INTO shed VALUES (1, %s)", [old()])],
    )  # fmt: skip


@deed("a table outside the catalog is rewritten", "rewriting", ("verify",), weight=2)
def rewritten_outside(world, rng):
    return Script(
        ["ALTER TABLE shed ADD COLUMN u uuid DEFAULT gen_random_uuid()"], hidden="a table outside the catalog",
        before=["CREATE TABLE shed (id int PRIMARY KEY, v text)", ("INSERT INTO shed VALUES (1, %s)", [old()])],
    )  # fmt: skip


@deed("a partition is detached and holds an old value", "names", ("verify",), weight=2)
def detached_with_old(world, rng):
    """It leaves the catalog with an old value in it: elsewhere is a place, too."""
    table = world.table("ledger")
    return Script(
        ["ALTER TABLE ledger DETACH PARTITION ledger_2"], hidden="a table that was a partition",
        before=table.insertion("ledger", [(2, 8_000_000, old(rng))]),
    )  # fmt: skip
