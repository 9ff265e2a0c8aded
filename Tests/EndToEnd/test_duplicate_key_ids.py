"""A value with two members `key_id`, the first of which is ours: readers differ in which they take, so it is no
envelope. Nothing that begins with our label may hide one."""

import pytest

from envelope_reference import seal
from support.secrets_table import SecretsTable

COLUMN_TYPES = ["bytea", "text", "varchar", "json"]
PREFIX = '{"version":1,"alg":"AES-256-GCM","key_id":"kek-v2",'
SECOND = [
    '"key_id":"kek-v1"',
    '"key_id" : "kek-v1"',
    '"key\\u005fid":"kek-v1"',
    '"key\\u005Fid":"\\u006bek-v1"',
    '"\\u006b\\u0065\\u0079\\u005f\\u0069\\u0064":"kek-v1"',
]


def twice(kek_v1, second, position) -> str:
    """A value that kek-v1 opens for a reader that takes the last `key_id`."""
    text = seal(kek_v1, b"x").text.replace('"key_id":"kek-v1"', '"key_id":"kek-v2"')
    assert text.startswith(PREFIX)
    rest = text[len(PREFIX) :]
    if position == "next":
        return PREFIX + second + "," + rest
    if position == "last":
        return text[:-1] + "," + second + "}"
    return text.replace(',"nonce"', "," + second + ',"nonce"')


@pytest.fixture(params=COLUMN_TYPES)
def table(request, database, tool, kek_v2):
    table = SecretsTable(database, column_type=request.param).create().fill(kek_v2, range(1, 20))
    tool.write_catalog(table)
    return table


def all_of_them(kek_v1) -> list:
    return [twice(kek_v1, second, position) for second in SECOND for position in ("next", "middle", "last")]


def test_no_label_hides_it(either_order, tool, table, kek_v1):
    values = all_of_them(kek_v1)
    for identity, value in enumerate(values, 1_000):
        table.insert([(identity, value)])
    count = len(values)
    outcome = tool.command("verify", "--catalog", tool.catalog, "--depth", "labels").expect(2)
    assert f"{count} of {19 + count} records are not under kek-v2" in outcome.stdout
    tool.command("fence", "add", "--catalog", tool.catalog).expect_refusal(f"{count} records unreadable")
    before = table.stored()
    outcome = tool.run().expect(2)
    assert outcome.report["failed_records"] if "failed_records" in outcome.report else "failed" in outcome.stderr
    assert table.stored() == before
    assert sum(f"id={identity}" in outcome.stderr for identity in range(1_000, 1_000 + count)) == count


def test_a_fence_refuses_it(tool, table, kek_v1):
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    accepted = []
    for value in all_of_them(kek_v1):
        try:
            table.insert([(1_000 + len(accepted), value)])
            accepted.append(value)
        except Exception as error:
            assert "reencrypt_fence" in str(error)
    assert accepted == []


def test_what_only_looks_like_it_is_current(tool, table, kek_v2):
    """A nested decoy, an escape elsewhere: parsed, and counted under its key."""
    for identity, more in enumerate(('"a":{"key_id":"kek-v1"}', '"\\u0061":"\\u0062"', '"b":"\\"key_id\\""'), 1_000):
        table.insert([(identity, seal(kek_v2, b"x").text[:-1] + "," + more + "}")])
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    tool.command("verify", "--catalog", tool.catalog).expect(0)
    assert "Re-encrypted 0 of 22 records" in tool.run().expect(0).output
