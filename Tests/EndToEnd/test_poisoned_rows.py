"""Unreadable values, one in a hundred: the others are rotated, each poisoned one is named and left as it was."""

import random
import re

import pytest

from envelope_reference import CANONICAL, KeyEncryptionKey, Spelling, seal
from support.secrets_table import SecretsTable

ROWS = 1_000
PLAIN_TEXT = "sk-live-plain-text-left-behind"


# MARK: poisons: each makes an unreadable value of a good one


def truncated(sealed):
    return sealed.text[: len(sealed.text) * 2 // 3]


def flipped_dek(sealed):
    position = sealed.spans["dek_wrapped"][0] + 40
    flipped = "B" if sealed.text[position] == "A" else "A"
    return sealed.text[:position] + flipped + sealed.text[position + 1 :]


def plain_text(sealed):
    return PLAIN_TEXT + "x" * max(0, len(sealed.text) - 1000)


def json_string(sealed):
    return '"' + plain_text(sealed) + '"'


def wrong_version(sealed):
    return sealed.text.replace('"version":1', '"version":2', 1)


def version_as_text(sealed):
    return sealed.text.replace('"version":1', '"version":"1"', 1)


def member_twice(sealed):
    return sealed.text[:-1] + ',"key_id":"kek-v2"}'


def member_missing(sealed):
    return sealed.text.replace('"nonce":', '"Nonce":', 1)


def other_algorithm(sealed):
    return sealed.text.replace("AES-256-GCM", "AES-128-GCM", 1)


def trailing_bytes(sealed):
    return sealed.text + "x"


def empty(_):
    return ""


def in_an_array(sealed):
    return "[" + sealed.text + "]"


def dek_of_another_length(sealed):
    start, end = sealed.spans["dek_wrapped"]
    return sealed.text[:start] + '"AAAA"' + sealed.text[end:]


def not_base64(sealed):
    position = sealed.spans["nonce"][0] + 1
    return sealed.text[:position] + "!" + sealed.text[position + 1 :]


OF_JSONB = [flipped_dek, json_string, wrong_version, version_as_text, member_missing, other_algorithm, in_an_array,
            dek_of_another_length, not_base64]  # fmt: skip
OF_JSON = [*OF_JSONB, member_twice]
OF_TEXT = [*OF_JSON, truncated, plain_text, trailing_bytes, empty]
POISONS = {"bytea": OF_TEXT, "text": OF_TEXT, "json": OF_JSON, "jsonb": OF_JSONB}


def poisoned_table(database, column_type, kek, size, poisons):
    """ROWS values of `size` bytes, one in a hundred poisoned in turn; returns the table and id → poison."""
    rng = random.Random(column_type)
    table = SecretsTable(database, column_type=column_type).create()
    poisoned, entries = {}, []
    for number in range(ROWS):
        sealed = seal(kek, b"secret-%d-" % number + rng.randbytes(size))
        if number % 100 == 37:
            poison = poisons[len(poisoned) % len(poisons)]
            poisoned[number] = poison
            entries.append((number, poison(sealed)))
        else:
            entries.append((number, sealed))
    table.insert(entries)
    return table, poisoned


@pytest.mark.parametrize("size", [20, 16_384], ids=["small", "16 KiB"])
@pytest.mark.parametrize("column_type", ["bytea", "text", "json", "jsonb"])
def test_one_in_a_hundred(database, tool, kek_v1, kek_v2, column_type, size):
    table, poisoned = poisoned_table(database, column_type, kek_v1, size, POISONS[column_type])
    before = table.stored()
    tool.write_catalog(table)

    outcome = tool.run().expect(2)

    after = table.stored()
    for number in poisoned:
        assert after[number] == before[number], f"the {poisoned[number].__name__} value was changed"
    table.assert_opens_with(kek_v2)
    report = outcome.report
    assert report["outcome"] == "incomplete"
    counts = report["records"]
    assert (counts["total_first_census"], counts["rewrapped"], counts["failed"]) == (ROWS, ROWS - 10, 10)
    failures = {(entry["table"], entry["id"], entry["column"]): entry for entry in report["failures"]}
    assert set(failures) == {(table.catalog_name, str(number), table.column) for number in poisoned}
    assert len(report["failures"]) == len(failures), "a failed record is named twice"
    for number, poison in poisoned.items():
        entry = failures[table.catalog_name, str(number), table.column]
        assert entry["reason"], f"no reason for {poison.__name__}"
        assert PLAIN_TEXT not in entry["reason"]
        named = [line for line in outcome.log if re.search(rf"\b{number}\b", line.message)]
        assert any(
            table.name in line.message and table.column in line.message and entry["reason"] in line.message
            for line in named
        ), f"the log does not name record {number}: {[line.message for line in named]}"
    assert PLAIN_TEXT not in outcome.output
    reasons = {poison: failures[table.catalog_name, str(n), table.column]["reason"] for n, poison in poisoned.items()}
    assert len(set(reasons.values())) >= 3, f"reasons that do not tell one fault from another: {reasons}"


def test_every_fault_has_a_reason_of_its_own(database, tool, kek_v1):
    """What an operator must tell apart: no envelope, another version or algorithm, a key that does not open it."""
    kinds = [truncated, wrong_version, other_algorithm, flipped_dek]
    table = SecretsTable(database).create().fill(kek_v1, range(100, 110))
    table.insert((number, kind(seal(kek_v1, b"x"))) for number, kind in enumerate(kinds))
    tool.write_catalog(table)
    outcome = tool.run().expect(2)
    reasons = {entry["id"]: entry["reason"] for entry in outcome.report["failures"]}
    assert len(reasons) == len(set(reasons.values())) == len(kinds), reasons
    assert "version" in reasons["1"].lower()
    assert "algorithm" in reasons["2"].lower()
    keys = {entry["id"]: entry["key_id"] for entry in outcome.report["failures"]}
    assert keys["0"] is None, "a value that is no JSON has no key id"
    assert keys["3"] == "kek-v1"


@pytest.mark.usefixtures("either_order")
def test_running_again_and_after_the_repair(database, tool, kek_v1, kek_v2):
    # Not those that leave a well-formed value under kek-v1 behind: alone of their key id, they would say that the
    # configured key is another, which is refused at the start.
    poisons = [truncated, plain_text, wrong_version, member_twice, trailing_bytes, empty]
    table, poisoned = poisoned_table(database, "text", kek_v1, 20, poisons)
    tool.write_catalog(table)
    tool.run().expect(2)
    versions = table.versions()

    again = tool.run().expect(2)

    assert again.report["records"]["rewrapped"] == 0
    assert len(again.report["failures"]) == 10
    assert table.versions() == versions, "rows that needed nothing were written again"
    database.execute(f"DELETE FROM {table.sql_name} WHERE id = ANY (%s)", (list(poisoned),))
    table.insert((number, seal(kek_v1, b"repaired")) for number in poisoned)
    assert tool.run().expect(0).report["records"]["rewrapped"] == 10
    table.assert_opens_with(kek_v2)


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("batch_size", [1, 10, 1000])
def test_neighbours_of_the_poisoned_are_done_at_any_batch_size(database, tool, kek_v1, kek_v2, batch_size):
    table = SecretsTable(database).create()
    table.insert((n, plain_text(seal(kek_v1, b"")) if n % 3 == 0 else seal(kek_v1, b"%d" % n)) for n in range(60))
    tool.write_catalog(table)
    outcome = tool.run("--batch-size", batch_size).expect(2)
    table.assert_opens_with(kek_v2)
    assert outcome.report["records"]["failed"] == 20


@pytest.mark.usefixtures("either_order")
def test_the_ids_of_composite_keys_are_lists(database, tool, kek_v1):
    database.execute("CREATE TABLE secrets (tenant_id int, id uuid, secret text, PRIMARY KEY (tenant_id, id))")
    identity = "8b0c5bd2-7f0e-4c4b-9d4c-0c9f6a2f4f11"
    database.execute(
        "INSERT INTO secrets VALUES (-7, %s, 'no envelope'), (8, %s, %s)", (identity, identity, seal(kek_v1, b"x").text)
    )
    tool.write_catalog({"name": "secrets", "id_column": ["tenant_id", "id"], "encrypted_columns": ["secret"]})
    outcome = tool.run().expect(2)
    assert [entry["id"] for entry in outcome.report["failures"]] == [["-7", identity]]
    assert any("-7" in message and identity in message for message in outcome.messages)


def test_the_log_names_a_thousand_and_the_report_all(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(5_000, 5_050))
    table.insert((number, "no envelope") for number in range(1_200))
    tool.write_catalog(table)
    outcome = tool.run().expect(2)
    failures = outcome.report["failures"]
    assert sorted(int(entry["id"]) for entry in failures) == list(range(1_200))
    reason = failures[0]["reason"]
    named = [m for m in outcome.messages if table.name in m and table.column in m and reason in m]
    assert len(named) == 1_000


def test_a_mislabelled_value(database, tool, kek_v1, kek_v2):
    """Wrapped with kek-v1, labelled kek-v0: its key does not open it, and no other is tried in its place."""
    other = KeyEncryptionKey("kek-v0", kek_v1.key[::-1])
    table = SecretsTable(database).create().fill(kek_v1, range(20)).fill(other, range(20, 30))
    table.insert([(30, seal(kek_v1, b"x").text.replace("kek-v1", "kek-v0"))])
    tool.previous = [kek_v1, other]
    tool.write_catalog(table)
    outcome = tool.run().expect(2)
    assert [(entry["id"], entry["key_id"]) for entry in outcome.report["failures"]] == [("30", "kek-v0")]
    table.assert_opens_with(kek_v2)


def test_poison_that_looks_current(database, tool, kek_v1, kek_v2):
    """An old value whose text begins like a current one only after white space, escapes or in a decoy is old; a
    broken value that merely contains the new label is failed, never passed over."""
    table = SecretsTable(database, column_type="text").create()
    decoy = Spelling(unknown=((0, '"previous"', '{"key_id":"kek-v2"}'),))
    table.insert((n, seal(kek_v1, b"%d" % n, decoy)) for n in range(20))
    broken = [
        'garbage "key_id":"kek-v2" garbage',
        ' {"version":1,"alg":"AES-256-GCM","key_id":"kek-v2"',
        '{"key_id":"kek-v2"}',
        '{"a":{"version":1,"alg":"AES-256-GCM","key_id":"kek-v2"}}',
        seal(kek_v1, b"x", CANONICAL).text[:-1] + ',"key_id":"kek-v2"}',
    ]
    table.insert((100 + n, text) for n, text in enumerate(broken))
    tool.write_catalog(table)
    outcome = tool.run().expect(2)
    assert {entry["id"] for entry in outcome.report["failures"]} == {str(100 + n) for n in range(len(broken))}
    table.assert_opens_with(kek_v2)
