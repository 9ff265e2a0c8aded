"""Peak memory is bounded, whatever the size of the table. Rates are measured by `scripts/bench`."""

import os

import pytest

from sealed_tables import load_envelopes

ROWS = int(os.environ.get("REENCRYPT_TEST_ROWS", "200000"))
MOST_MIB = 100
MOST_GROWTH_MIB = 20


def peak_memory_mib(database, make_tool, kek_v1, rows) -> float:
    table = f"secrets_{rows}"
    with database.transaction() as cursor:
        load_envelopes(cursor.connection, table, rows, kek_v1)
    tool = make_tool(database.url)
    tool.write_catalog({"name": table, "encrypted_columns": ["api_key_encrypted"]})
    outcome = tool.run("--concurrency", 2, timeout=300).expect(0)
    assert outcome.report["records"]["rewrapped"] == rows
    print(f"{rows} rows: {outcome.peak_memory_kib / 1024:.1f} MiB, {rows / outcome.seconds:,.0f} rows/s")
    return outcome.peak_memory_kib / 1024


@pytest.mark.watchdog(600)
def test_memory_does_not_grow_with_the_table(database, make_tool, kek_v1):
    small = peak_memory_mib(database, make_tool, kek_v1, ROWS // 10)
    large = peak_memory_mib(database, make_tool, kek_v1, ROWS)
    assert 0 < large < MOST_MIB
    assert large - small < MOST_GROWTH_MIB


@pytest.mark.watchdog(300)
def test_memory_does_not_grow_with_the_failures(database, make_tool, kek_v1):
    """Every value unreadable: what is kept of each must be little, or a damaged table ends the process."""
    failures = ROWS // 10
    database.execute("CREATE TABLE secrets (id bigint PRIMARY KEY, secret text)")
    database.execute(
        f"INSERT INTO secrets SELECT n, repeat('no envelope', 100) FROM generate_series(1, {failures}) n"
    )
    tool = make_tool(database.url)
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    outcome = tool.run("--concurrency", 2, timeout=200).expect(2)
    assert outcome.report["records"]["failed"] == failures
    assert 0 < outcome.peak_memory_kib / 1024 < MOST_MIB
