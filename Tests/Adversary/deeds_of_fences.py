"""Deeds that play with the fence's constraints: dropped, imitated, weakened, or made for other ids."""

from adversary_tables import lie, old
from deed import VERIFICATIONS, Script, deed

FENCES = ("fenced verify", "fence add")
LATE_ID = 4_000_000


def _constraints(table) -> str:
    """PL/pgSQL over the fence's constraints that are on the table itself; `c` is the row of each."""
    return f"SELECT conname, obj_description(oid) AS comment FROM pg_constraint WHERE conrelid = 'public.{table}'::regclass " \
           "AND conname LIKE 'reencrypt_fence%' AND conislocal"  # fmt: skip


def _replace(table, definition) -> str:
    """Each constraint of the fence becomes one of the same name and comment with another definition."""
    return f"""DO $$ DECLARE c record; BEGIN FOR c IN {_constraints(table)} LOOP
EXECUTE format('ALTER TABLE public.{table} DROP CONSTRAINT %I', c.conname);
EXECUTE format('ALTER TABLE public.{table} ADD CONSTRAINT %I {definition}', c.conname);
EXECUTE format('COMMENT ON CONSTRAINT %I ON public.{table} IS %L', c.conname, c.comment);
END LOOP; END $$"""


def _drop(table) -> str:
    return f"""DO $$ DECLARE c record; BEGIN FOR c IN {_constraints(table)} LOOP
EXECUTE format('ALTER TABLE public.{table} DROP CONSTRAINT %I', c.conname); END LOOP; END $$"""


def _insert(table, rng, into=None, tenant=0):
    return table.insertion(into or table.name, [(tenant, LATE_ID + rng.randrange(10**6), old(rng)) for _ in range(3)])


def _canonical_only(table) -> str:
    bytes_of = "secret" if table.column_type != "bytea" else "encode(secret, ''escape'')"
    return f"CHECK (position(''\"key_id\":\"kek-v1\"'' in {bytes_of}::text) = 0)"


@deed("drop the fence and insert", "fence", FENCES, weight=4)
def drop_and_insert(world, rng):
    table = world.any_table(rng)
    return Script([_drop(table.name), *_insert(table, rng)])


@deed("drop the fence, insert, and a look-alike", "fence", FENCES, weight=2)
def drop_insert_look_alike(world, rng):
    table = world.any_table(rng)
    return Script([_replace(table.name, "CHECK (secret IS NOT NULL OR true)"), *_insert(table, rng)])


@deed("a look-alike in the place of the fence", "fence", FENCES, weight=4)
def look_alike(world, rng):
    table = world.any_table(rng)
    return Script(_insert(table, rng), before=[_replace(table.name, "CHECK (secret IS NOT NULL OR true)")])


@deed("the fence again, NO INHERIT", "fence", FENCES, weight=3)
def no_inherit(world, rng):
    table = world.table("registry")
    return Script(_insert(table, rng, "registry_child"), before=[_same_expression(table.name, " NO INHERIT")])


def _same_expression(table, more) -> str:
    """The fence's own definition with something added."""
    return f"""DO $$ DECLARE c record; BEGIN FOR c IN SELECT conname, obj_description(oid) AS comment,
pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = 'public.{table}'::regclass
AND conname LIKE 'reencrypt_fence%' AND conislocal LOOP
EXECUTE format('ALTER TABLE public.{table} DROP CONSTRAINT %I', c.conname);
EXECUTE format('ALTER TABLE public.{table} ADD CONSTRAINT %I %s{more}', c.conname, c.definition);
EXECUTE format('COMMENT ON CONSTRAINT %I ON public.{table} IS %L', c.conname, c.comment);
END LOOP; END $$"""


@deed("the fence again, NOT VALID over an old value", "fence", FENCES, weight=2)
def not_valid(world, rng):
    table = world.any_table(rng)
    return Script(
        [f"ALTER TABLE {table.name} ADD COLUMN k int"],
        before=[_drop_keeping(table.name), *_insert(table, rng), _again_not_valid(table.name)],
    )


def _drop_keeping(table) -> str:
    return f"""DO $$ DECLARE c record; BEGIN
CREATE TABLE attic.kept AS SELECT conname, obj_description(oid) AS comment, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE conrelid = 'public.{table}'::regclass AND conname LIKE 'reencrypt_fence%' AND conislocal;
FOR c IN SELECT * FROM attic.kept LOOP EXECUTE format('ALTER TABLE public.{table} DROP CONSTRAINT %I', c.conname); END LOOP;
END $$"""


def _again_not_valid(table) -> str:
    return f"""DO $$ DECLARE c record; BEGIN FOR c IN SELECT * FROM attic.kept LOOP
EXECUTE format('ALTER TABLE public.{table} ADD CONSTRAINT %I %s NOT VALID', c.conname, c.definition);
EXECUTE format('COMMENT ON CONSTRAINT %I ON public.{table} IS %L', c.conname, c.comment);
END LOOP; END $$"""


@deed("a fence that knows one spelling alone", "fence", FENCES, weight=3)
def canonical_only(world, rng):
    table = world.any_table(rng, not_types=("jsonb",))
    value = old().replace('"key_id":', '"key_id" : ')
    return Script(table.insertion(table.name, [(0, LATE_ID + 1, value)]),
                  before=[_replace(table.name, _canonical_only(table))])  # fmt: skip


@deed("a fence of another id, and no previous keys", "fence", ("fenced verify",), weight=4)
def other_ids(world, rng):
    """The runbook takes the previous keys away at the end; what stands then is the fence of an earlier rotation."""
    table = world.any_table(rng)
    return Script(_insert(table, rng), options={"previous": False, "fenced": ["kek-v0"]})


@deed("a typing error in --retired", "fence", ("fenced verify", "fence add"), weight=2)
def typing_error(world, rng):
    table = world.any_table(rng)
    return Script(_insert(table, rng), options={"previous": False, "fenced": ["kek-v11"], "retired": ["kek-v11"]})


@deed("the column is renamed under the fence", "fence", FENCES, weight=2)
def renamed_column(world, rng):
    table = world.table("vault")
    return Script(
        _insert(table, rng),
        before=["ALTER TABLE vault RENAME COLUMN secret TO secret_before",
                f"ALTER TABLE vault ADD COLUMN secret {table.column_type}",
                "ALTER TABLE vault ALTER COLUMN secret_before SET DEFAULT NULL"],
    )  # fmt: skip


@deed("the fence is dropped on a partition", "fence", FENCES, weight=2)
def dropped_on_a_leaf(world, rng):
    """A detached partition loses its fence, takes an old value, and comes back with a look-alike of the same name."""
    table = world.table("ledger")
    return Script(
        table.insertion("ledger", [(1, LATE_ID, old(rng))]),
        before=["ALTER TABLE ledger DETACH PARTITION ledger_1",
                _replace("ledger_1", "CHECK (secret IS NOT NULL OR true)"),
                "ALTER TABLE ledger ATTACH PARTITION ledger_1 FOR VALUES IN (1)"],
    )  # fmt: skip


@deed("a lie behind the fence", "rows", VERIFICATIONS, weight=3)
def lie_behind_the_fence(world, rng):
    table = world.any_table(rng)
    return Script(table.insertion(table.name, [(0, LATE_ID + 9, lie())]))


@deed("a constraint not enforced", "fence", FENCES, weight=1)
def not_enforced(world, rng):
    """PostgreSQL 18 alone; an error elsewhere."""
    table = world.table("vault")
    return Script(_insert(table, rng), before=[_same_expression("vault", " NOT ENFORCED")])
