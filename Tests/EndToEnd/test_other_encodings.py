"""Databases that are not in UTF-8."""

import pytest

from envelope_reference import seal
from support.isolated_database import IsolatedDatabase
from support.secrets_table import SecretsTable


@pytest.fixture
def ascii_database(server):
    database = IsolatedDatabase(server, "ENCODING 'SQL_ASCII' LOCALE 'C'")
    yield database
    database.drop()


@pytest.fixture
def ascii_tool(make_tool, ascii_database):
    return make_tool(ascii_database.url)


BAD = r"decode('636166e9', 'hex')"


@pytest.mark.parametrize("column_type", ["text", "varchar(4000)"])
@pytest.mark.parametrize("order", ["key", "physical"])
def test_a_byte_that_is_no_utf8_is_a_failed_record(ascii_database, ascii_tool, kek_v1, column_type, order):
    table = SecretsTable(ascii_database, column_type=column_type).create().fill(kek_v1, range(20))
    ascii_database.execute(f"UPDATE {table.sql_name} SET {table.column} = convert_from({BAD}, 'SQL_ASCII') WHERE id = 7")
    del table.sealed[7]
    ascii_tool.write_catalog(table)
    dry = ascii_tool.run("--dry-run", "--order", order).expect(0, 2)
    assert "id=7" in dry.output
    outcome = ascii_tool.run("--order", order).expect(2)
    assert "id=7" in outcome.output
    checked = ascii_tool.command("verify", "--catalog", ascii_tool.catalog).expect(2)
    assert "id=7" in checked.output
    with ascii_database.transaction() as cursor:
        cursor.execute("SET client_encoding = 'SQL_ASCII'")
        cursor.execute(f"SELECT count(*) FROM {table.sql_name} WHERE {table.column} LIKE '%%kek-v2%%'")
        assert cursor.fetchone()[0] == 19
        cursor.execute(f"SELECT encode({table.column}::bytea, 'hex') FROM {table.sql_name} WHERE id = 7")
        assert cursor.fetchone()[0] == "636166e9"


@pytest.mark.parametrize("order", ["key", "physical"])
def test_ids_that_are_no_utf8(ascii_database, ascii_tool, kek_v1, order):
    """By places no row is passed over; in key order a few may be, and then the job is incomplete."""
    table = SecretsTable(ascii_database, id_type="text", column_type="text").create()
    table.fill(kek_v1, [f"row-{number:03}" for number in range(300)])
    ascii_database.execute(
        f"UPDATE {table.sql_name} SET id = convert_from(convert_to(id, 'SQL_ASCII') || '\\xe9'::bytea, 'SQL_ASCII')"
    )
    ascii_tool.write_catalog(table)
    outcome = ascii_tool.run("--order", order, "--batch-size", "10")
    outcome.expect(0 if table.count_under(kek_v1) == 0 else 2)
    assert order == "key" or outcome.exit_code == 0


def test_envelopes_elsewhere_in_sql_ascii(ascii_database, ascii_tool, kek_v1, kek_v2):
    table = SecretsTable(ascii_database).create().fill(kek_v2, range(5))
    ascii_tool.write_catalog(table)
    ascii_database.execute("CREATE TABLE forgotten (id int, payload text)")
    value = seal(kek_v1, b"x").text
    ascii_database.execute(
        f"INSERT INTO forgotten VALUES (1, convert_from({BAD}, 'SQL_ASCII')), (2, %s)", (value,)
    )
    outcome = ascii_tool.command("verify", "--catalog", ascii_tool.catalog).expect(2)
    assert "public.forgotten.payload holds envelopes under kek-v1" in outcome.stdout


def test_latin1_goes_on_working(server, make_tool, kek_v1):
    database = IsolatedDatabase(server, "ENCODING 'LATIN1' LOCALE 'C'")
    try:
        table = SecretsTable(database, column_type="text").create().fill(kek_v1, range(20))
        database.execute(f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (99, 'café')")
        tool = make_tool(database.url)
        tool.write_catalog(table)
        assert "id=99" in tool.run().expect(2).output
        assert "id=99" in tool.command("verify", "--catalog", tool.catalog).expect(2).output
    finally:
        database.drop()
