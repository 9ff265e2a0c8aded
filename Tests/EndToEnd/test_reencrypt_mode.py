"""`--mode reencrypt`, for a compromised KEK: the value is opened and sealed again with a fresh DEK and nonces."""

import json
import random

import pytest

from envelope_reference import open_envelope, parse, random_spelling, seal, unwrap
from support.legal_spellings import unknown_members
from support.secrets_table import SecretsTable


def others(value) -> dict:
    """The unknown members, as JSON."""
    known = {"version", "alg", "key_id", "dek_wrapped", "nonce", "ciphertext"}
    text = value.decode() if isinstance(value, bytes) else value
    return {name: member for name, member in json.loads(text).items() if name not in known}


@pytest.mark.parametrize("column_type", ["bytea", "text", "varchar", "json", "jsonb"])
def test_everything_secret_is_fresh(database, tool, kek_v1, kek_v2, column_type):
    rng = random.Random(column_type)
    table = SecretsTable(database, column_type=column_type).create()
    members = unknown_members(column_type)
    table.insert(
        (n, seal(kek_v1, rng.randbytes(rng.choice([0, 1, 16, 5000])), random_spelling(rng, members))) for n in range(80)
    )
    table.insert((n, seal(kek_v2, b"current", random_spelling(rng, members))) for n in range(80, 90))
    table.insert((n, None) for n in range(90, 95))
    before = table.stored()
    tool.write_catalog(table)

    outcome = tool.run("--mode", "reencrypt", "--batch-size", 9).expect(0)

    after = table.stored()
    table.assert_opens_with(kek_v2)
    for n in range(80):
        old, new = parse(before[n]), parse(after[n])
        assert unwrap(after[n], kek_v2) != table.sealed[n].dek, "the DEK that the old key may have given away lives on"
        for member in ("dek_wrapped", "nonce", "ciphertext"):
            assert new[member] != old[member]
        assert new["dek_wrapped"][:12] != old["dek_wrapped"][:12]
        assert others(after[n]) == others(before[n])
    for n in range(80, 95):
        assert after[n] == before[n]
    assert outcome.report["mode"] == "reencrypt"
    assert outcome.report["records"]["rewrapped"] == 80


def test_no_dek_or_nonce_is_used_twice(database, tool, kek_v1, kek_v2):
    table = SecretsTable(database).create()
    same = seal(kek_v1, b"the same everywhere")
    table.insert((n, same) for n in range(2_000))
    tool.write_catalog(table)
    tool.run("--mode", "reencrypt").expect(0)
    values = list(table.stored().values())
    assert len({unwrap(value, kek_v2) for value in values}) == len(values)
    assert len({parse(value)["nonce"] for value in values}) == len(values)


def test_a_value_whose_data_does_not_open_fails(database, tool, kek_v1, kek_v2):
    """Rewrap cannot see a flipped bit in the ciphertext; re-encryption opens the value and must."""
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    sealed = seal(kek_v1, b"damaged")
    position = sealed.spans["ciphertext"][0] + 5
    flipped = "B" if sealed.text[position] == "A" else "A"
    damaged = (sealed.text[:position] + flipped + sealed.text[position + 1 :]).encode()
    table.insert([(20, damaged)])
    tool.write_catalog(table)
    outcome = tool.run("--mode", "reencrypt").expect(2)
    assert [entry["id"] for entry in outcome.report["failures"]] == ["20"]
    assert table.stored()[20] == damaged
    table.assert_opens_with(kek_v2)


def test_rewrap_keeps_the_dek(database, tool, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    tool.write_catalog(table)
    tool.run("--mode", "rewrap").expect(0)
    for n, value in table.stored().items():
        assert unwrap(value, kek_v2) == table.sealed[n].dek
        assert open_envelope(value, kek_v2) == table.sealed[n].plaintext


def test_dry_run_opens_the_values(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    before = table.versions()
    tool.write_catalog(table)
    outcome = tool.run("--mode", "reencrypt", "--dry-run").expect(0)
    assert outcome.messages[-1] == "DRY RUN: Would re-encrypt 20 of 20 records"
    assert table.versions() == before
