"""The runbook's SQL check, for those without the tool: what stands there is what is run here."""

import pathlib
import re

import pytest

from envelope_reference import Spelling, seal
from support.secrets_table import SecretsTable

RUNBOOK = pathlib.Path(__file__).resolve().parents[2] / "docs" / "runbook.md"


def statement(table, kind):
    """The runbook's SELECT for a kind of column, for this table, with psql's variables filled in."""
    section = RUNBOOK.read_text(encoding="utf-8").split("#### The same in plain SQL")[1]
    block = re.search(r"```sql\n(.*?)```", section, re.S).group(1)
    (text,) = [part for part in re.findall(r"-- ([^\n]*)\n(SELECT.*?;)", block, re.S) if part[0].startswith(kind)]
    column = f"{table.column}::text" if table.column_type == "json" else table.column
    sql = re.sub(r"llm_providers|billing\.payment_accounts|tenant_webhooks", table.sql_name, text[1])
    sql = re.sub(r"api_key_encrypted|iban_encrypted|signing_secret_encrypted", column, sql)
    prefix = '{"version":1,"alg":"AES-256-GCM","key_id":"kek-v2",'
    assert r"""\set prefix '{"version":1,"alg":"AES-256-GCM","key_id":"' :key '",'""" in block
    return sql.replace(":'prefix'", f"'{prefix}'").replace(":'key'", "'kek-v2'")


@pytest.mark.parametrize(
    ("column_type", "kind"),
    [("bytea", "bytea"), ("text", "text"), ("varchar", "text"), ("json", "text"), ("jsonb", "jsonb")],
)
def test_the_check(database, kek_v1, kek_v2, column_type, kind):
    table = SecretsTable(database, column_type=column_type).create().fill(kek_v2, range(20))
    table.insert([(100, None)])
    check = statement(table, kind)
    assert database.value(check) == 0
    table.insert([(200, seal(kek_v1, b"old"))])
    assert database.value(check) == 1
    decoy = Spelling(unknown=((6, '"decoy"', '{"key_id":"kek-v2","version":1,"alg":"AES-256-GCM"}'),))
    table.insert([(201, seal(kek_v1, b"old", decoy))])
    assert database.value(check) == 2
    # An id that is spelt with escapes: the old one is counted, and so is the new one where SQL does not decode.
    escaped = Spelling(escaped_values=frozenset({"key_id"}), escaped_names=frozenset({"key_id"}))
    table.insert([(202, seal(kek_v1, b"old", escaped))])
    assert database.value(check) == 3
    table.insert([(203, seal(kek_v2, b"new", escaped))])
    assert database.value(check) == (3 if kind == "jsonb" else 4)
    # Two of the name, the first of them ours: jsonb keeps the last one.
    twice = seal(kek_v1, b"twice").text.replace('"key_id":"kek-v1"', '"key_id":"kek-v2"')[:-1]
    for identity, name in ((204, "key_id"), (205, "key\\u005fid")):
        table.insert([(identity, f'{twice},"{name}":"kek-v1"}}')])
    assert database.value(check) == (5 if kind == "jsonb" else 6)
