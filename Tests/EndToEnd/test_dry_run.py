"""A dry run says what the real run would do, by really unwrapping, and writes nothing."""

import re

import pytest

from envelope_reference import seal
from support.secrets_table import SecretsTable

WOULD = re.compile(r"Would re-encrypt (\S+)\.(\S+) \(id=(.*), current_key=(.*)\)")


def lines_of(outcome):
    return [match.groups() for match in map(WOULD.fullmatch, outcome.messages) if match]


@pytest.fixture
def table(database, tool, kek_v1, kek_v2):
    """42 old records of 100."""
    table = SecretsTable(database).create().fill(kek_v1, range(42)).fill(kek_v2, range(42, 100))
    table.insert((number, None) for number in range(100, 110))
    tool.write_catalog(table)
    return table


@pytest.mark.parametrize("option", ["--dry-run", "-n"])
def test_the_lines_of_the_runbook(tool, table, option):
    before = table.versions()
    outcome = tool.run(option).expect(0)
    assert table.versions() == before, "a dry run has written"
    for message in (
        "Encryption service initialized. Primary key: kek-v2",
        'Available keys: ["kek-v2", "kek-v1"]',
        "Connected to database",
        "Processing table: llm_providers",
    ):
        assert message in outcome.messages, outcome
    assert sorted(lines_of(outcome), key=lambda line: int(line[2])) == [
        ("llm_providers", "api_key_encrypted", str(number), "kek-v1") for number in range(42)
    ]
    assert outcome.messages[-1] == "DRY RUN: Would re-encrypt 42 of 100 records"
    report = outcome.report
    assert report["dry_run"] is True
    assert report.get("census_after") in (None, report["census_before"])


def test_the_real_run_reaches_the_same_counts(tool, table, kek_v2):
    dry = tool.run("--dry-run").expect(0)
    real = tool.run().expect(0)
    assert real.messages[-1] == dry.messages[-1].replace("DRY RUN: Would re-encrypt", "Re-encrypted")
    assert real.report["census_before"] == dry.report["census_before"]
    again = tool.run("--dry-run").expect(0)
    assert again.messages[-1] == "DRY RUN: Would re-encrypt 0 of 100 records"
    assert lines_of(again) == []
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize(("options", "lines"), [([], 100), (["--verbose"], 250)])
def test_the_first_hundred_lines(database, tool, kek_v1, options, lines):
    first = SecretsTable(database, name="first").create().fill(kek_v1, range(150))
    second = SecretsTable(database, name="second").create().fill(kek_v1, range(100))
    tool.write_catalog(first, second)
    outcome = tool.run("--dry-run", *options).expect(0)
    assert len(lines_of(outcome)) == lines
    assert outcome.messages[-1] == "DRY RUN: Would re-encrypt 250 of 250 records"


def test_it_really_unwraps(database, tool, kek_v1):
    """A value whose DEK does not open is found now, not in the middle of the real run."""
    table = SecretsTable(database).create().fill(kek_v1, range(50))
    sealed = seal(kek_v1, b"x")
    position = sealed.spans["dek_wrapped"][0] + 9
    flipped = "B" if sealed.text[position] == "A" else "A"
    table.insert([(60, sealed.text[:position] + flipped + sealed.text[position + 1 :]), (61, "no envelope")])
    before = table.versions()
    tool.write_catalog(table)
    dry = tool.run("--dry-run").expect(2)
    assert table.versions() == before
    real = tool.run().expect(2)
    assert dry.messages[-1] == "DRY RUN: Would re-encrypt 50 of 52 records"
    assert "Re-encrypted 50 of 52 records" in real.messages

    def failures(outcome):
        return sorted((entry["id"], entry["reason"]) for entry in outcome.report["failures"])

    assert failures(dry) == failures(real)
    assert [identity for identity, _ in failures(dry)] == ["60", "61"]


def test_in_a_database_that_is_read_only(database, tool, table):
    """It works in a read-only transaction."""
    database.set("default_transaction_read_only", "on")
    tool.run("--dry-run").expect(0)


def test_the_ids_of_several_types(database, tool, kek_v1):
    database.execute("CREATE TABLE secrets (id uuid PRIMARY KEY, secret text)")
    identity = "8b0c5bd2-7f0e-4c4b-9d4c-0c9f6a2f4f11"
    database.execute("INSERT INTO secrets VALUES (%s, %s)", (identity, seal(kek_v1, b"x").text))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    outcome = tool.run("--dry-run").expect(0)
    assert lines_of(outcome) == [("secrets", "secret", identity, "kek-v1")]


def test_a_row_of_two_columns_is_two_records(database, tool, kek_v1, kek_v2):
    database.execute("CREATE TABLE secrets (id int PRIMARY KEY, a text, b text)")
    for number in range(10):
        old, current = seal(kek_v1, b"x").text, seal(kek_v2, b"x").text
        database.execute("INSERT INTO secrets VALUES (%s, %s, %s)", (number, old, current if number % 2 else old))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["a", "b"]})
    assert tool.run("--dry-run").expect(0).messages[-1] == "DRY RUN: Would re-encrypt 15 of 20 records"
    assert "Re-encrypted 15 of 20 records" in tool.run().expect(0).messages


def test_large_tables_in_ranges(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(3_000))
    tool.write_catalog(table)
    outcome = tool.run("--dry-run", "--batch-size", 7).expect(0)
    assert outcome.messages[-1] == "DRY RUN: Would re-encrypt 3000 of 3000 records"
