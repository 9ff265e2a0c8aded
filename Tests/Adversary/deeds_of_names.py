"""Deeds that change what the catalog's names lead to."""

from adversary_tables import old
from deed import ROTATIONS, Script, deed

SPARE_ID = 2_000_000


def _old_rows(rng, count, tenant=0):
    return [(tenant, SPARE_ID + number, old(rng)) for number in range(count)]


def _spare(world, table, name, rng, tenant=0, like=None):
    """A table of the same columns, full of old values."""
    return [f"CREATE TABLE {name} (LIKE {like or table.name} INCLUDING ALL)",
            *table.insertion(name, _old_rows(rng, rng.randint(2, 60), tenant))]  # fmt: skip


@deed("attach a partition", "names", weight=4)
def attach(world, rng):
    table = world.table("ledger")
    bounds = rng.choice(["FOR VALUES IN (90)", "DEFAULT"])
    return Script([f"ALTER TABLE ledger ATTACH PARTITION ledger_spare {bounds}"],
                  before=_spare(world, table, "ledger_spare", rng, 90))  # fmt: skip


@deed("attach a partition that has partitions", "names")
def attach_tree(world, rng):
    table = world.table("ledger")
    return Script(
        ["ALTER TABLE ledger ATTACH PARTITION ledger_tree FOR VALUES IN (91)"],
        before=[
            f"CREATE TABLE ledger_tree ({table.columns}) PARTITION BY RANGE (id)",
            "CREATE TABLE ledger_tree_1 PARTITION OF ledger_tree DEFAULT",
            *table.insertion("ledger_tree", _old_rows(rng, 20, 91)),
        ],
    )


@deed("detach a partition and attach another one", "names")
def exchange(world, rng):
    table = world.table("ledger")
    return Script(
        ["ALTER TABLE ledger DETACH PARTITION ledger_1",
         "ALTER TABLE ledger ATTACH PARTITION ledger_other FOR VALUES IN (1)"],
        before=_spare(world, table, "ledger_other", rng, 1),
    )  # fmt: skip


@deed("create a partition with old values", "names")
def create_partition(world, rng):
    table = world.table("ledger")
    return Script(["CREATE TABLE ledger_made PARTITION OF ledger FOR VALUES IN (92)",
                   *table.insertion("ledger", _old_rows(rng, 10, 92))])  # fmt: skip


@deed("detach a partition", "names")
def detach(world, rng):
    return Script(["ALTER TABLE ledger DETACH PARTITION ledger_2"])


@deed("detach a partition concurrently", "names")
def detach_concurrently(world, rng):
    return Script(["ALTER TABLE ledger DETACH PARTITION ledger_2 CONCURRENTLY"], outside_block=True)


@deed("attach a partition that was detached", "names", ROTATIONS, weight=3)
def attach_again(world, rng):
    return Script(["ALTER TABLE ledger ATTACH PARTITION ledger_2 FOR VALUES IN (2)"],
                  before=["ALTER TABLE ledger DETACH PARTITION ledger_2"])  # fmt: skip


@deed("inherit", "names", weight=4)
def inherit(world, rng):
    table = world.table(rng.choice(["registry", "vault"]))
    return Script([f"ALTER TABLE heir INHERIT {table.name}"], before=_spare(world, table, "heir", rng))


@deed("create a child with old values", "names")
def create_child(world, rng):
    table = world.table(rng.choice(["registry", "vault"]))
    return Script([f"CREATE TABLE heir (PRIMARY KEY (id)) INHERITS ({table.name})",
                   *table.insertion("heir", _old_rows(rng, 10))])  # fmt: skip


@deed("no inherit", "names")
def no_inherit(world, rng):
    return Script(["ALTER TABLE registry_child NO INHERIT registry"])


@deed("a grandchild", "names")
def grandchild(world, rng):
    table = world.table("registry")
    return Script(["ALTER TABLE heir INHERIT registry_child"], before=_spare(world, table, "heir", rng))


@deed("a temporary child", "names")
def temporary_child(world, rng):
    table = world.table(rng.choice(["registry", "vault"]))
    return Script([f"CREATE TEMP TABLE heir (PRIMARY KEY (id)) INHERITS ({table.name})",
                   *table.insertion("pg_temp.heir", _old_rows(rng, 5))], stays=True)  # fmt: skip


@deed("swap names", "names", weight=4)
def swap_names(world, rng):
    table = world.table(rng.choice(["vault", "registry"]))
    return Script(
        [f"ALTER TABLE {table.name} RENAME TO gone", f"ALTER TABLE coming RENAME TO {table.name}"],
        before=_spare(world, table, "coming", rng),
    )


@deed("rename, and a new table of the old name", "names", weight=3)
def new_table(world, rng):
    table = world.table(rng.choice(["vault", "registry"]))
    return Script([f"ALTER TABLE {table.name} RENAME TO gone", f"CREATE TABLE {table.name} ({table.columns})",
                   *table.insertion(table.name, _old_rows(rng, 30))])  # fmt: skip


@deed("rename, and attach to a new partitioned table of the old name", "names", weight=3)
def become_partition(world, rng):
    table = world.table("vault")
    return Script([
        "ALTER TABLE vault RENAME TO vault_first",
        f"CREATE TABLE vault ({table.columns}) PARTITION BY RANGE (id)",
        f"ALTER TABLE vault ATTACH PARTITION vault_first FOR VALUES FROM (MINVALUE) TO ({SPARE_ID})",
        f"CREATE TABLE vault_second PARTITION OF vault FOR VALUES FROM ({SPARE_ID}) TO (MAXVALUE)",
        *table.insertion("vault", _old_rows(rng, 30)),
    ])  # fmt: skip


@deed("rename a partition, and another one takes its place", "names")
def partition_swap(world, rng):
    table = world.table("ledger")
    return Script([
        "ALTER TABLE ledger DETACH PARTITION ledger_0", "ALTER TABLE ledger_0 RENAME TO ledger_gone",
        "CREATE TABLE ledger_0 PARTITION OF ledger FOR VALUES IN (0)",
        *table.insertion("ledger", _old_rows(rng, 20, 0)),
    ])  # fmt: skip


@deed("rename the column, and a new one of the old name", "names", weight=3)
def column_swap(world, rng):
    table = world.any_table(rng)
    return Script([
        f"ALTER TABLE {table.name} RENAME COLUMN secret TO secret_before",
        f"ALTER TABLE {table.name} ADD COLUMN secret {table.column_type}",
        (f"UPDATE {table.name} SET secret = {table.value} WHERE id %% 2 = 0", [old(rng)]),
    ])  # fmt: skip


@deed("two columns swap their names", "names")
def columns_swap(world, rng):
    table = world.any_table(rng)
    return Script(
        [f"ALTER TABLE {table.name} RENAME COLUMN secret TO passing",
         f"ALTER TABLE {table.name} RENAME COLUMN other TO secret",
         f"ALTER TABLE {table.name} RENAME COLUMN passing TO other"],
        before=[f"ALTER TABLE {table.name} ADD COLUMN other {table.column_type}",
                (f"UPDATE {table.name} SET other = {table.value} WHERE id %% 2 = 0", [old(rng)])],
    )  # fmt: skip


@deed("drop the column, and a new one of the old name", "names")
def column_again(world, rng):
    table = world.any_table(rng)
    return Script([
        f"ALTER TABLE {table.name} DROP COLUMN secret",
        f"ALTER TABLE {table.name} ADD COLUMN secret {table.column_type}",
        (f"UPDATE {table.name} SET secret = {table.value} WHERE id %% 2 = 0", [old(rng)]),
    ])  # fmt: skip


@deed("set schema, and a new table of the old name", "names", weight=3)
def set_schema(world, rng):
    table = world.table("vault")
    return Script(["ALTER TABLE vault SET SCHEMA attic", f"CREATE TABLE vault ({table.columns})",
                   *table.insertion("vault", _old_rows(rng, 30))])  # fmt: skip


@deed("a table earlier in the path", "names", weight=3)
def earlier_in_path(world, rng):
    table = world.table(rng.choice(["vault", "registry"]))
    return Script([f"CREATE TABLE front.{table.name} ({table.columns})",
                   *table.insertion(f"front.{table.name}", _old_rows(rng, 10))])  # fmt: skip


@deed("set schema to one earlier in the path", "names")
def schema_earlier(world, rng):
    table = world.table("vault")
    return Script([f"ALTER TABLE attic.{table.name} SET SCHEMA front"],
                  before=_spare(world, table, f"attic.{table.name}", rng))  # fmt: skip


@deed("rename a schema into the path", "names")
def rename_schema(world, rng):
    table = world.table("vault")
    return Script(["DROP SCHEMA front", "ALTER SCHEMA attic RENAME TO front"],
                  before=_spare(world, table, f"attic.{table.name}", rng))  # fmt: skip


@deed("a view earlier in the path", "names")
def view_in_path(world, rng):
    return Script(["CREATE VIEW front.vault AS SELECT * FROM public.vault WHERE id % 2 = 0"])


@deed("drop the table and create it again", "names", weight=3)
def drop_and_create(world, rng):
    table = world.table("vault")
    return Script(["DROP TABLE vault", f"CREATE TABLE vault ({table.columns})",
                   *table.insertion("vault", _old_rows(rng, 30))])  # fmt: skip


@deed("drop a partition and create it again", "names")
def drop_partition(world, rng):
    table = world.table("ledger")
    return Script(["DROP TABLE ledger_1", "CREATE TABLE ledger_1 PARTITION OF ledger FOR VALUES IN (1)",
                   *table.insertion("ledger", _old_rows(rng, 20, 1))])  # fmt: skip


@deed("attach a foreign table", "names", ("run", "coordinator", "verify"))
def attach_foreign(world, rng):
    """A partition whose rows lie in another table, behind postgres_fdw."""
    table = world.table("ledger")
    host, port, name = world.server.socket_directory, world.server.port, world.database.name
    return Script(
        ["ALTER TABLE ledger ATTACH PARTITION ledger_far FOR VALUES IN (93)"],
        before=[
            *_spare(world, table, "far", rng, 93), "CREATE EXTENSION postgres_fdw",
            f"CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname '{name}')",
            "CREATE USER MAPPING FOR postgres SERVER here OPTIONS (user 'postgres', password_required 'false')",
            f"CREATE FOREIGN TABLE ledger_far (tenant int NOT NULL, id bigint NOT NULL, note text, n int, "
            f"secret {table.column_type}) SERVER here OPTIONS (schema_name 'public', table_name 'far')",
        ],
    )  # fmt: skip


@deed("the same table by two names", "static", weight=1)
def two_names(world, rng):
    entry = dict(world.table("vault").catalog_entry, name="public.vault")
    return Script([], options={"catalog": [entry]})


@deed("a partition beside its root in the catalog", "static", weight=1)
def leaf_in_catalog(world, rng):
    entry = dict(world.table("ledger").catalog_entry, name="ledger_1")
    return Script([], options={"catalog": [entry]})


@deed("the table becomes a child of another one", "names")
def become_child(world, rng):
    table = world.table("vault")
    return Script(["ALTER TABLE vault INHERIT ancestor"],
                  before=["CREATE TABLE ancestor (LIKE vault)", *table.insertion("ancestor", _old_rows(rng, 5))])  # fmt: skip


@deed("another key", "names", ROTATIONS)
def other_key(world, rng):
    return Script(["ALTER TABLE vault DROP CONSTRAINT vault_pkey", "ALTER TABLE vault ADD PRIMARY KEY (id, tenant)"])


@deed("insert into a table and attach it", "names", weight=2)
def insert_and_attach(world, rng):
    table = world.table("ledger")
    return Script([*table.insertion("ledger_spare", _old_rows(rng, 5, 94)),
                   "ALTER TABLE ledger ATTACH PARTITION ledger_spare FOR VALUES IN (94)"],
                  before=["CREATE TABLE ledger_spare (LIKE ledger INCLUDING ALL)"])  # fmt: skip


@deed("another schema takes the name of the tables' own", "names", weight=2)
def schema_swap(world, rng):
    """Needs no lock on a table; a name with its schema leads elsewhere, too."""
    table = world.table("vault")
    return Script(["ALTER SCHEMA public RENAME TO cellar", "ALTER SCHEMA attic RENAME TO public"],
                  before=_spare(world, table, "attic.vault", rng))  # fmt: skip


@deed("a generated column of the old name", "names")
def generated_column(world, rng):
    table = world.table("vault")
    value = old().encode().hex() if table.column_type == "bytea" else old()
    constant = f"'\\x{value}'::bytea" if table.column_type == "bytea" else f"'{value}'::{table.column_type}"
    return Script(["ALTER TABLE vault DROP COLUMN secret",
                   f"ALTER TABLE vault ADD COLUMN secret {table.column_type} GENERATED ALWAYS AS ({constant}) STORED"])  # fmt: skip


@deed("a column of the old name with a default", "names")
def default_column(world, rng):
    """PostgreSQL stores such a default once, beside the table, and not in its rows."""
    table = world.any_table(rng)
    value = old()
    constant = f"convert_to('{value}', 'UTF8')" if table.column_type == "bytea" else f"'{value}'"
    return Script([f"ALTER TABLE {table.name} DROP COLUMN secret",
                   f"ALTER TABLE {table.name} ADD COLUMN secret {table.column_type} DEFAULT {constant}"])  # fmt: skip
