"""Deeds of an application: late values, lies, rows that move."""

from adversary_tables import lie, new, old, two_labels
from deed import ROTATIONS, VERIFICATIONS, Script, deed

LATE_ID = 1_000_000


def _values(table, make, count, rng):
    return [(rng.randrange(3), LATE_ID + rng.randrange(10**9), make()) for _ in range(count)]


@deed("insert old values", "rows", weight=4)
def insert_old(world, rng):
    table = world.any_table(rng)
    return Script(table.insertion(table.name, _values(table, lambda: old(rng), rng.randint(1, 5), rng)))


@deed("update a row to an old value", "rows", weight=3)
def update_to_old(world, rng):
    table = world.any_table(rng)
    return Script([(f"UPDATE {table.name} SET secret = {table.value} WHERE id = %s", [old(rng), rng.randint(1, 50)])])


@deed("insert a lie", "rows", VERIFICATIONS, weight=6)
def insert_lie(world, rng):
    table = world.any_table(rng)
    return Script(table.insertion(table.name, _values(table, lie, rng.randint(1, 3), rng)))


@deed("insert a value with two labels", "rows", ("run", "coordinator", "fence add", *VERIFICATIONS), weight=3)
def insert_two_labels(world, rng):
    table = world.any_table(rng, not_types=("jsonb",))
    return Script(table.insertion(table.name, _values(table, two_labels, 1, rng)))


@deed("insert what is no envelope", "rows")
def insert_rubbish(world, rng):
    table = world.any_table(rng)
    text = rng.choice(['{"key_id":"kek-v1"}', "[]", '"kek-v1"', "null"])
    return Script(table.insertion(table.name, _values(table, lambda: text, 1, rng)))


@deed("insert new values and NULL", "rows")
def insert_new(world, rng):
    table = world.any_table(rng)
    return Script(table.insertion(table.name, _values(table, lambda: rng.choice([None, new()]), 3, rng)))


@deed("move rows between partitions", "rows")
def move_rows(world, rng):
    source = rng.randrange(3)
    return Script([f"UPDATE ledger SET tenant = {(source + 1 + rng.randrange(2)) % 3}, id = id + 5000000 "
                   f"WHERE tenant = {source} AND id % 3 <> 1"])  # fmt: skip


@deed("delete rows and insert them again", "rows")
def reinsert(world, rng):
    table = world.any_table(rng)
    return Script([
        f"CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {table.name}" if table.shape != "inherited"
        else f"CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM ONLY {table.name}",
        f"DELETE FROM {'ONLY ' if table.shape == 'inherited' else ''}{table.name}",
        f"INSERT INTO {table.name} (tenant, id, note, n, secret) SELECT tenant, id, note, n, secret FROM kept",
    ])  # fmt: skip


@deed("a trigger that undoes updates", "rows", ROTATIONS)
def undoing_trigger(world, rng):
    name = world.any_table(rng).leaves[-1]
    return Script([
        "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.secret := OLD.secret; RETURN NEW; END $$",
        f"CREATE TRIGGER undo BEFORE UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION undo()",
    ])  # fmt: skip


@deed("a trigger that skips updates", "rows", ROTATIONS)
def skipping_trigger(world, rng):
    name = world.any_table(rng).leaves[-1]
    return Script([
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        f"CREATE TRIGGER skip BEFORE UPDATE ON {name} FOR EACH ROW WHEN (OLD.id % 3 = 1) EXECUTE FUNCTION skip()",
    ])  # fmt: skip


@deed("row-level security", "rows")
def row_security(world, rng):
    table = world.any_table(rng)
    return Script([
        f"CREATE POLICY half ON {table.name} USING (id % 2 = 0)",
        f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table.name} FORCE ROW LEVEL SECURITY",
    ])  # fmt: skip


@deed("a rule in place of updates", "rows", ROTATIONS)
def rule(world, rng):
    return Script(["CREATE RULE nothing AS ON UPDATE TO vault DO INSTEAD NOTHING"])


@deed("rows get other ids", "rows", weight=2)
def other_ids(world, rng):
    table = world.any_table(rng)
    return Script([f"UPDATE {table.name} SET id = {rng.choice(['id + 500000', '-id'])} WHERE id > 60"])


@deed("lock rows", "rows", weight=2)
def lock_rows(world, rng):
    table = world.any_table(rng)
    return Script([f"SELECT count(*) FROM (SELECT 1 FROM {table.name} WHERE id > 40 FOR UPDATE) AS locked"])


@deed("lock rows, and make them old again", "rows", weight=2)
def lock_and_age(world, rng):
    table = world.any_table(rng)
    return Script([f"SELECT id FROM {table.name} WHERE id > 40 FOR UPDATE",
                   (f"UPDATE {table.name} SET secret = {table.value} WHERE id BETWEEN 41 AND 45", [old(rng)])])  # fmt: skip


@deed("an odd setting of the database", "static", weight=3)
def odd_setting(world, rng):
    setting = rng.choice([
        "bytea_output = 'escape'", "standard_conforming_strings = off", "transform_null_equals = on", "row_security = off",
        "default_transaction_isolation = 'serializable'", "default_transaction_isolation = 'repeatable read'",
        "session_replication_role = 'replica'", "enable_seqscan = off", "enable_tidscan = off", "constraint_exclusion = on",
        "synchronize_seqscans = on", "xmloption = 'document'", "quote_all_identifiers = on", "lock_timeout = '60ms'",
        "from_collapse_limit = 1", "force_parallel_mode = on", "plan_cache_mode = 'force_custom_plan'",
        "default_transaction_deferrable = on", "extra_float_digits = -15", "IntervalStyle = 'sql_standard'",
        "array_nulls = off", "backslash_quote = off", "lc_messages = 'C'", "search_path = 'front', 'public', 'attic'",
    ])  # fmt: skip
    world.log(f"-- {setting}")
    return Script([], before=[f"ALTER DATABASE {world.database.name} SET {setting}"])
