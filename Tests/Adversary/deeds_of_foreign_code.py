"""Functions, operators and views of others in a schema of the search path, under names that PostgreSQL's own have.

Each takes exactly the types that a statement of a census or a verification is likely to pass, so that PostgreSQL prefers
it to a built-in one that needs a conversion. A call is written to the server's log.
"""

import zlib

from adversary_tables import lie, old
from deed import Script, deed

CALLED = "adversary: foreign code was called"
_BODY = "LANGUAGE plpgsql AS $$ BEGIN RAISE LOG '%s'; RETURN %s; END $$"


def _function(signature, returns, value) -> str:
    return f"CREATE FUNCTION public.{signature} RETURNS {returns} {_BODY % (CALLED, value)}"


def _operator(name, left, right, value) -> list:
    function = f"shadow_{zlib.crc32(repr((name, left, right)).encode())}"
    return [_function(f"{function}({left}, {right})", "boolean", value),
            f"CREATE OPERATOR public.{name} (FUNCTION = public.{function}, LEFTARG = {left}, RIGHTARG = {right})"]  # fmt: skip


SHADOWS = {
    "format(text,bigint)": [_function("format(text, bigint)", "text", "'(0,0)'")],
    "pg_relation_size(integer)": [_function("pg_relation_size(integer)", "bigint", "0")],
    "pg_relation_size(oid)": [_function("pg_relation_size(oid)", "bigint", "0")],
    "pg_table_size(integer)": [_function("pg_table_size(integer)", "bigint", "0")],
    "count(bytea)": [
        f"CREATE FUNCTION public.nothing(bigint, bytea) RETURNS bigint {_BODY % (CALLED, 0)}",
        "CREATE AGGREGATE public.count(bytea) (SFUNC = public.nothing, STYPE = bigint, INITCOND = '0')",
    ],
    "count(text)": [
        f"CREATE FUNCTION public.nothing(bigint, text) RETURNS bigint {_BODY % (CALLED, 0)}",
        "CREATE AGGREGATE public.count(text) (SFUNC = public.nothing, STYPE = bigint, INITCOND = '0')",
    ],
    "unnest(tid[])": [
        "CREATE FUNCTION public.unnest(tid[]) RETURNS SETOF tid LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE LOG '{CALLED}'; RETURN; END $$"
    ],
    "=(bytea,bytea)": _operator("=", "bytea", "bytea", "true"),
    "=(varchar,varchar)": _operator("=", "varchar", "varchar", "true"),
    ">=(varchar,varchar)": _operator(">=", "varchar", "varchar", "false"),
    "=(integer,bigint)": _operator("=", "integer", "bigint", "false"),
    ">=(tid,tid)": _operator(">=", "tid", "tid", "false"),
    "substring(bytea,integer,integer)": [_function("substring(bytea, integer, integer)", "bytea", "'\\x00'")],
    "left(varchar,integer)": [_function('"left"(varchar, integer)', "text", "''")],
    "octet_length(varchar)": [_function("octet_length(varchar)", "integer", "0")],
    "starts_with(varchar,text)": [_function("starts_with(varchar, text)", "boolean", "true")],
}


@deed("a shadow of a function or an operator", "static", weight=4)
def shadow(world, rng):
    name = rng.choice(sorted(SHADOWS))
    world.log(f"-- shadow {name}")
    path = rng.choice(["front, public", "public, pg_catalog"])
    return Script([], before=[f"ALTER DATABASE {world.database.name} SET search_path = {path}", *SHADOWS[name]])


@deed("a shadow of a system view", "static", weight=2)
def shadow_view(world, rng):
    """Effective where pg_catalog does not come first."""
    view = rng.choice([
        "CREATE VIEW public.pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false",
        "CREATE VIEW public.pg_inherits AS SELECT * FROM pg_catalog.pg_inherits WHERE false",
        "CREATE VIEW public.pg_constraint AS SELECT * FROM pg_catalog.pg_constraint WHERE false",
    ])  # fmt: skip
    return Script([], before=[f"ALTER DATABASE {world.database.name} SET search_path = public, pg_catalog", view])


@deed("a shadow of pg_locks and an open transaction", "rows", ("verify",), weight=3)
def shadow_locks(world, rng):
    table = world.any_table(rng)
    value = rng.choice([old, lie])()
    return Script(
        table.insertion(table.name, [(0, 6_000_000, value)]),
        before=[f"ALTER DATABASE {world.database.name} SET search_path = public, pg_catalog",
                "CREATE VIEW public.pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false"],
    )  # fmt: skip
