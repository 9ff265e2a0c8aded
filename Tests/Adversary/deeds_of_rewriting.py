"""Deeds that store a table's rows again elsewhere. A snapshot from before sees an empty table."""

from adversary_tables import lie, old
from deed import Script, deed


def _leaf(world, rng):
    return rng.choice([leaf for table in world.tables for leaf in table.leaves])


@deed("add a column with a volatile default", "rewriting", weight=4)
def add_column(world, rng):
    name = world.any_table(rng).name
    return Script([f"ALTER TABLE {name} ADD COLUMN u uuid DEFAULT gen_random_uuid()"])


@deed("change the type of another column", "rewriting", weight=2)
def change_type(world, rng):
    return Script([f"ALTER TABLE {world.any_table(rng).name} ALTER COLUMN n TYPE bigint"])


@deed("change the type of the encrypted column", "rewriting", weight=2)
def change_encrypted_type(world, rng):
    table = world.any_table(rng)
    if table.column_type == "bytea":
        kind, using = "text", "convert_from(secret, 'UTF8')"
    elif table.column_type in ("json", "jsonb"):
        kind, using = "text", "secret::text"
    else:
        kind, using = "bytea", "convert_to(secret, 'UTF8')"
    return Script([f"ALTER TABLE {table.name} ALTER COLUMN secret TYPE {kind} USING {using}"])


@deed("truncate and load again", "rewriting", weight=4)
def truncate(world, rng):
    name = _leaf(world, rng)
    return Script([
        f"LOCK TABLE ONLY {name}", f"CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM ONLY {name}",
        f"TRUNCATE ONLY {name}", f"INSERT INTO {name} SELECT * FROM kept",
    ])  # fmt: skip


@deed("truncate, and load old values", "rewriting", weight=3)
def truncate_old(world, rng):
    table = world.table("vault")
    kept = [(0, number, old(rng)) for number in range(1, 30)]
    return Script(["TRUNCATE vault", *table.insertion("vault", kept)])


@deed("rewrite, and insert lies", "rewriting", weight=2)
def rewrite_and_lie(world, rng):
    table = world.table("vault")
    rows = [(0, 3_000_000 + number, lie()) for number in range(3)]
    return Script(["ALTER TABLE vault ADD COLUMN u uuid DEFAULT gen_random_uuid()", *table.insertion("vault", rows)])


@deed("cluster", "rewriting", weight=3)
def cluster(world, rng):
    name = _leaf(world, rng)
    return Script([f"CLUSTER {name} USING {name}_pkey"])


@deed("vacuum full", "rewriting", weight=3)
def vacuum_full(world, rng):
    return Script([f"VACUUM FULL {_leaf(world, rng)}"], outside_block=True)


@deed("set unlogged", "rewriting")
def unlogged(world, rng):
    return Script(["ALTER TABLE vault SET UNLOGGED", "ALTER TABLE vault SET LOGGED"])


@deed("add a column", "rewriting", weight=3)
def plain_column(world, rng):
    """Rewrites nothing, and waits for every reader's lock: every later statement waits behind it."""
    return Script([f"ALTER TABLE {world.any_table(rng).name} ADD COLUMN m int"])


@deed("copy to a table and drop the first one", "rewriting", weight=2)
def copy_and_drop(world, rng):
    table = world.table("vault")
    return Script([
        "LOCK TABLE vault", f"CREATE TABLE copied ({table.columns})",
        "INSERT INTO copied (tenant, id, note, n, secret) SELECT tenant, id, note, n, secret FROM vault",
        "DROP TABLE vault", "ALTER TABLE copied RENAME TO vault",
    ])  # fmt: skip


@deed("reindex and analyze", "rewriting")
def reindex(world, rng):
    return Script([f"REINDEX TABLE {_leaf(world, rng)}", f"ANALYZE {world.any_table(rng).name}"])
