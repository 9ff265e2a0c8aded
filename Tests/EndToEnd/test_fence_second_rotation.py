"""What a new fence does with the ids of the old one, and with an id that nothing knows."""

import json

import psycopg2
import pytest

from envelope_reference import KeyEncryptionKey, seal
from support.secrets_table import SecretsTable

# As version 0.1.0 made it for text: it trusts what begins with the target's label.
EARLIER = r"""
    CHECK (CASE WHEN substring((api_key_encrypted COLLATE "C") from 1 for 51)
        = '{"version":1,"alg":"AES-256-GCM","key_id":"kek-v2",' THEN true
    WHEN position('"kek-v1"' in (api_key_encrypted COLLATE "C")) = 0
        AND position(E'\\u00' in (api_key_encrypted COLLATE "C")) = 0 THEN true
    WHEN pg_catalog.octet_length((api_key_encrypted COLLATE "C")) > 16777216 THEN false
    ELSE pg_catalog.regexp_replace((api_key_encrypted COLLATE "C"), '"key_id":"kek-v1"', '~', 'g') !~ '~' END)
"""
EARLIER_NAME = "reencrypt_fence_retired_key_see_runbook_7d0f3a0000000000"


def fence(tool, *arguments, **options):
    return tool.command("fence", *arguments[:1], "--catalog", tool.catalog, *arguments[1:], **options)


def status(tool) -> dict:
    [column] = json.loads(fence(tool, "status", "--json").expect(0).stdout)["columns"]
    return column


def refused_ids(table, *keks) -> list:
    """The ids under which the server takes no value; nothing stays."""
    found = []
    for kek in keks:
        connection = table.database.connect("probe")
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (-1, %s)", (seal(kek, b"x").text,)
                )
        except psycopg2.errors.CheckViolation:
            found.append(kek.key_id)
        finally:
            connection.rollback()
    return found


@pytest.fixture
def table(database, tool, kek_v2):
    table = SecretsTable(database, column_type="text").create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    return table


@pytest.fixture
def next_tool(make_tool, database, table, tool, kek_v2):
    """Rotation 2 is through; it knows kek-v2 as its one previous key."""
    next_tool = make_tool(database.url, primary=KeyEncryptionKey.generate("kek-v3"), previous=[kek_v2])
    next_tool.write_catalog(table)
    return next_tool


def test_the_second_fence_refuses_the_ids_of_the_first_too(table, tool, next_tool, kek_v1, kek_v2):
    fence(tool, "add").expect(0)
    next_tool.run().expect(0)
    outcome = fence(next_tool, "add").expect(0)
    assert "Values under kek-v1, kek-v2 are refused in llm_providers" in outcome.stdout
    assert refused_ids(table, kek_v1, kek_v2, next_tool.primary) == ["kek-v1", "kek-v2"]
    assert status(next_tool)["retired"] == ["kek-v1", "kek-v2"] and len(status(next_tool)["constraints"]) == 1


def test_it_lets_them_in_where_it_is_told_so(table, tool, next_tool, kek_v1, kek_v2):
    fence(tool, "add").expect(0)
    next_tool.run().expect(0)
    outcome = fence(next_tool, "add", "--only-these").expect(0)
    assert "Values under kek-v1 are let in again" in outcome.stderr
    assert refused_ids(table, kek_v1, kek_v2, next_tool.primary) == ["kek-v2"]
    assert status(next_tool)["retired"] == ["kek-v2"]


def test_a_fence_of_the_first_version_is_replaced_and_its_ids_stay(database, table, tool, next_tool, kek_v1, kek_v2):
    database.execute(f"ALTER TABLE llm_providers ADD CONSTRAINT {EARLIER_NAME} {EARLIER}")
    assert status(tool)["ineffective"] and not status(tool)["present"]
    next_tool.run().expect(0)
    fence(next_tool, "add").expect(0)
    assert refused_ids(table, kek_v1, kek_v2) == ["kek-v1", "kek-v2"]
    assert status(tool)["constraints"] != [EARLIER_NAME] and not status(tool)["ineffective"]


def test_run_refuses_a_target_that_a_fence_of_the_first_version_denies(
    database, table, make_tool, kek_v1, kek_v2
):
    database.execute(f"ALTER TABLE llm_providers ADD CONSTRAINT {EARLIER_NAME} {EARLIER}")
    back = make_tool(database.url, primary=kek_v1, previous=[kek_v2])
    back.write_catalog(table)
    back.run().expect_refusal("a fence refuses values under kek-v1", EARLIER_NAME)


def test_a_misspelt_id_is_told(database, table, tool, kek_v1):
    """kek-v11 for kek-v1: exit code 0 would be read as 'the old key is refused'."""
    outcome = fence(tool, "add", "--retired", "kek-v11")
    outcome.expect_refusal("nothing knows kek-v11", "--allow-unknown-keys")
    assert database.value("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'reencrypt%'") == 0
    for form in ("--print-sql", "--log-only"):
        assert "Nothing knows kek-v11" in fence(tool, "add", "--retired", "kek-v11", form).expect(0).stderr
    fence(tool, "drop").expect(0)
    fence(tool, "add", "--retired", "kek-v11", "--allow-unknown-keys").expect(0)
    # It stands now, and is known from then on.
    outcome = fence(tool, "add").expect(0)
    assert "refuses kek-v11 too" in outcome.stderr and "Values under kek-v1, kek-v11 are refused" in outcome.stdout
