"""What is really there, read without the tool: the values that the catalog's names lead to, and what opens them."""

import dataclasses

import psycopg2

from adversary_tables import NEW, OLD
from envelope_reference import MEMBERS, EnvelopeError, Spelling, key_id, open_envelope, seal

# So that nothing in a schema of the search path is called in place of PostgreSQL's own.
SAFE_PATH = "SET search_path = pg_catalog, pg_temp"


@dataclasses.dataclass
class Truth:
    records: int = 0
    # Values that the application has written meanwhile: each may have been NULL before.
    written: int = 0
    # Labels other than the new key's, or no envelope.
    not_labelled_new: list = dataclasses.field(default_factory=list)
    # Values that the new key alone does not open.
    not_opened_by_new: list = dataclasses.field(default_factory=list)


def _text(value):
    return bytes(value) if isinstance(value, memoryview) else value


def values(world, catalog) -> list:
    """(place, value) of every record that the catalog's names lead to now, NULL left out."""
    connection = world.connect("adversary oracle", path=None)
    connection.autocommit = True
    found = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('search_path')")
            path = cursor.fetchone()[0]
            for entry in catalog:
                cursor.execute(f"SET search_path = {path}")
                cursor.execute("SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", (entry["name"],))
                oid = cursor.fetchone()[0]
                cursor.execute(SAFE_PATH)
                if oid is None:
                    continue
                cursor.execute(
                    "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n "
                    "ON n.oid = c.relnamespace WHERE c.oid = %s", (oid,))  # fmt: skip
                name = cursor.fetchone()[0]
                for column in entry["encrypted_columns"]:
                    found += _column(cursor, name, oid, column)
    finally:
        connection.close()
    return found


def _column(cursor, name, oid, column) -> list:
    cursor.execute("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s AND attname = %s", (oid, column))
    row = cursor.fetchone()
    if row is None:
        return []
    value = column if row[0] == "bytea" else f"{column}::text"
    cursor.execute("SELECT relname FROM pg_class WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %s) "
                   "AND relpersistence = 't'", (oid,))  # fmt: skip
    # Rows of another session's temporary child can be read by nobody but that session.
    only = "ONLY " if cursor.fetchone() else ""
    cursor.execute("SELECT relkind FROM pg_class WHERE oid = %s", (oid,))
    leaf = "'a view'" if cursor.fetchone()[0] in ("v", "m") else "tableoid::regclass::text"
    cursor.execute(f"SELECT {leaf}, tenant, id, {value} FROM {only}{name} WHERE {column} IS NOT NULL")
    return [(f"{leaf} ({tenant}, {number})", _text(stored)) for leaf, tenant, number, stored in cursor.fetchall()]


def judge(found) -> Truth:
    truth = Truth(len(found))
    for place, value in found:
        try:
            if key_id(value) != NEW.key_id:
                truth.not_labelled_new.append(place)
        except (EnvelopeError, UnicodeDecodeError):
            truth.not_labelled_new.append(place)
        try:
            open_envelope(value, NEW)
        except (EnvelopeError, UnicodeDecodeError):
            truth.not_opened_by_new.append(place)
    return truth


def truth(world, catalog) -> Truth:
    return judge(values(world, catalog))


# MARK: what a fence lets in

SPELLINGS = {
    "canonical": Spelling(),
    "white space": Spelling(after_name=" ", before_value=" ", after_value=" "),
    "key_id last": Spelling(order=(*[name for name in MEMBERS if name != "key_id"], "key_id")),
    "key_id first": Spelling(order=("key_id", *[name for name in MEMBERS if name != "key_id"])),
    "escaped name": Spelling(escaped_names=frozenset({"key_id"})),
    "escaped value": Spelling(escaped_values=frozenset({"key_id"})),
    "decoy": Spelling(unknown=((0, '"note"', '{"key_id":"kek-v2"}'),)),
}


def taken(world, catalog) -> list:
    """Old values that a table of the catalog takes: through its root, and in each of its leaves. Nothing is kept."""
    connection = world.connect("adversary oracle", path=None)
    found = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('search_path')")
            path = cursor.fetchone()[0]
            for entry in catalog:
                cursor.execute(f"SET search_path = {path}")
                cursor.execute("SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", (entry["name"],))
                oid = cursor.fetchone()[0]
                cursor.execute(SAFE_PATH)
                if oid is not None:
                    for column in entry["encrypted_columns"]:
                        found += _taken(cursor, oid, column)
    finally:
        connection.rollback()
        connection.close()
    # What is least known first.
    return sorted(found, key=lambda way: "two labels" in way)


def _taken(cursor, root, column) -> list:
    cursor.execute(
        "WITH RECURSIVE tree (oid) AS (SELECT %s::oid UNION SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = "
        "tree.oid) SELECT c.oid, format('%%I.%%I', n.nspname, c.relname), c.relkind, a.atttypid::regtype::text FROM tree "
        "JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s WHERE c.relpersistence <> 't'", (root, column))  # fmt: skip
    found = []
    for oid, name, kind, stored_type in cursor.fetchall():
        for what, spelling in SPELLINGS.items():
            text = seal(OLD, b"probe", spelling).text
            found += [f"{name}.{column}: {way} of {what}" for way in _ways_in(cursor, oid, root, name, kind, column, stored_type, text)]
        if stored_type != "jsonb":
            twice = seal(NEW, b"probe").text.replace('"key_id":"kek-v2",', '"key_id":"kek-v2","key_id":"kek-v1",')
            found += [f"{name}.{column}: {way} of two labels" for way in _ways_in(cursor, oid, root, name, kind, column, stored_type, twice)]
    return found


def _ways_in(cursor, oid, root, name, kind, column, stored_type, text) -> list:
    value = "convert_to(%s, 'UTF8')" if stored_type == "bytea" else f"%s::{stored_type}"
    taken_by = []
    ways = []
    if kind == "p" or oid == root:
        ways += [("INSERT", f"INSERT INTO {name} (tenant, id, {column}) VALUES ({tenant}, 9000000, {value})")
                 for tenant in (0, 1, 2, 90)]  # fmt: skip
    if kind != "p":
        ways.append(("UPDATE", f"UPDATE ONLY {name} SET {column} = {value} WHERE ctid = (SELECT min(ctid) FROM ONLY {name})"))
    for way, sql in ways:
        cursor.execute("SAVEPOINT probe")
        try:
            cursor.execute(sql, (text,))
            if cursor.rowcount > 0:
                taken_by.append(way)
        except psycopg2.Error:
            pass
        cursor.execute("ROLLBACK TO SAVEPOINT probe")
        if taken_by and taken_by[-1] == "INSERT":
            break
    return sorted(set(taken_by))
