"""Encrypted columns outside the catalog: `catalog discover` lists them, `verify` proves nothing while there are any."""

import json

import pytest
import yaml

from envelope_reference import KeyEncryptionKey, seal
from support.secrets_table import SecretsTable


@pytest.fixture
def table(database, kek_v2):
    return SecretsTable(database).create().fill(kek_v2, range(10))


def discover(tool, *arguments, **options):
    return tool.command("catalog", "discover", "--catalog", tool.catalog, *arguments, **options).expect(0)


def verify(tool, *arguments):
    return tool.command("verify", "--catalog", tool.catalog, *arguments)


def store(database, name, kek, column_type="text", column="payload"):
    value = seal(kek, b"a secret").text
    database.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, {column} {column_type})")
    database.execute(
        f"INSERT INTO {name} VALUES (1, " + ("convert_to(%s, 'UTF8'))" if column_type == "bytea" else "%s)"), (value,)
    )


def test_nothing_is_outside(tool, table):
    tool.write_catalog(table)
    assert "Nothing that looks encrypted" in discover(tool).stdout
    assert json.loads(discover(tool, "--json").stdout)["findings"] == []
    verify(tool).expect(0)


@pytest.mark.parametrize("column_type", ["bytea", "text", "varchar(4000)", "json", "jsonb"])
def test_a_column_outside_is_named(database, tool, table, kek_v1, column_type):
    tool.write_catalog(table)
    store(database, "forgotten", kek_v1, column_type)
    outcome = verify(tool).expect(2)
    assert "public.forgotten.payload holds envelopes under kek-v1 and is in no catalog" in outcome.stdout
    finding = json.loads(discover(tool, "--json").stdout)["findings"][0]
    assert (finding["schema"], finding["table"], finding["column"]) == ("public", "forgotten", "payload")
    assert (finding["reason"], finding["key_ids"]) == ("envelopes", ["kek-v1"])


def test_a_column_that_is_ignored_is_none_of_ours(database, tool, table):
    store(database, "of_another", KeyEncryptionKey.generate("crm-7"))
    tool.write_catalog(table, ignore=["public.of_another.payload"])
    verify(tool).expect(0)


def test_one_table_of_the_catalog_does_not_make_the_others_unknown(database, tool, table, kek_v1):
    other = SecretsTable(database, name="others").create().fill(kek_v1, range(3))
    tool.write_catalog(table, other)
    assert "in no catalog" not in verify(tool, "--table", table.name).output


def test_copies_are_named(database, tool, table, kek_v1):
    source = SecretsTable(database, name="source").create().fill(kek_v1, range(3))
    database.execute(f"CREATE MATERIALIZED VIEW copy AS SELECT * FROM {source.sql_name}")
    database.execute(f"CREATE TABLE audit AS SELECT now() AS at, to_jsonb(s) AS old_row FROM {source.sql_name} s")
    tool.write_catalog(table, source)
    outcome = verify(tool).expect(2)
    assert "public.copy.api_key_encrypted holds envelopes under kek-v1" in outcome.stdout
    assert "public.audit.old_row holds envelopes inside larger values" in outcome.stdout
    proposal = discover(tool).stdout.split("For the catalog:\n\n")[1]
    assert yaml.safe_load(proposal) is None, "neither can be rotated in place: a person decides"


def test_the_yaml_that_is_printed_is_enough(database, tool, kek_v1, kek_v2):
    """No catalog at first; the proposal is saved, the rotation runs, and the verdict is proven."""
    database.execute('CREATE SCHEMA "Odd Schema"')
    name = '"Odd Schema"."Ta""ble"'
    database.execute(f'CREATE TABLE {name} (tenant int, "row id" int, "se:cret" jsonb, PRIMARY KEY (tenant, "row id"))')
    for row in range(5):
        database.execute(f"INSERT INTO {name} VALUES (1, %s, %s)", (row, seal(kek_v1, b"x").text))
    store(database, "plain", kek_v1, "bytea")
    found = tool.command("catalog", "discover").expect(0)
    assert "no catalog yet" in found.stderr
    proposal = found.stdout.split("For the catalog:\n\n")[1]
    assert yaml.safe_load(proposal)["tables"][0]["id_column"] == ["tenant", "row id"]
    tool.catalog.write_text(proposal, encoding="utf-8")
    tool.run().expect(0)
    verify(tool).expect(0)
    assert "Nothing that looks encrypted" in discover(tool).stdout


def test_what_may_not_be_read_is_not_passed_over(database, tool, make_tool, table):
    role = database.create_role("reader")
    database.execute("CREATE TABLE hidden (id int, note text)")
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}")
    reader = make_tool(database.url_as(role))
    reader.write_catalog(table)
    outcome = verify(reader).expect(2)
    assert "public.hidden (note) could not be looked at" in outcome.stdout
    reader.write_catalog(table, ignore=["public.hidden.note"])
    verify(reader).expect(0)


def test_a_locked_table_holds_nobody_up(database, tool, table):
    tool.write_catalog(table)
    database.execute("CREATE TABLE locked (id int, note text)")
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE locked")
    found = discover(tool)
    assert found.seconds < 20
    assert "public.locked.note could not be looked at" in found.stdout
