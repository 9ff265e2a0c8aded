"""Which values a fence takes: every legal shape under current and future keys, none under a retired one, and no
error for anything that is no envelope. Values go through the constraint in the server, one by one."""

import json
import os
import random

import pytest
from psycopg2 import Binary
from psycopg2.extras import execute_values

from envelope_reference import ALGORITHM, CANONICAL, MEMBERS, KeyEncryptionKey, Spelling, random_spelling, seal, spell
from support.legal_spellings import unknown_members
from support.secrets_table import SecretsTable

COLUMN_TYPES = ["bytea", "text", "varchar", "json", "jsonb"]
SHAPES = int(os.environ.get("REENCRYPT_TEST_FENCE_SHAPES", 10_000))
RETIRED = ["kek-v1", "a.b_C-9", "z" * 64]
# The target, future ids, and ids that a careless pattern takes for a retired one.
CURRENT = ["kek-v2", "kek-v3", "kek-v10", "kek-v", "KEK-V1", "axb_C-9", "z" * 63, "a.b_C-99", "u006b"]
# Every decoy holds retired ids where they count for nothing.
DECOYS = [
    ('"meta"', '{"key_id":"kek-v1"}'),
    ('"list"', '[{"key_id":"kek-v1"},[[{"key_id" : "a.b_C-9"}]],"\\"key_id\\":\\"kek-v1\\""]'),
    ('"say \\"key_id"', '"kek-v1"'),
    ('"key_id\\""', '"kek-v1"'),
    ('"\\\\"', '"kek-v1"'),
    ('"key_id\\\\"', '"kek-v1"'),
    ('"key_id\\u0000"', '"kek-v1"'),
    ('"text"', '"\\\\\\",\\"key_id\\":\\"kek-v1"'),
    ('"brackets"', '"}}]]{[ ~ \\"kek-v1\\" }"'),
    ('"tilde~"', '"~"'),
    ('"kek-v1"', '"key_id"'),
    ('"KEY_ID"', '"kek-v1"'),
    ('"é\\u00e9"', '"\\u006bek-v1 😀\\ud83d\\ude00"'),
    ('"alone"', '"\\ud83d kek-v1"'),
    ('"id"', '"kek-v1"'),
    ('"deep"', "[" * 126 + '"kek-v1"' + "]" * 126),
    ('"deeper"', '{"key_id":' * 126 + '"kek-v1"' + "}" * 126),
    ('"wide"', "[" + '{"key_id":"kek-v1"},' * 500 + "{}]"),
]
NOT_IN_JSONB = {'"key_id\\u0000"', '"alone"'}


@pytest.fixture(params=COLUMN_TYPES)
def fenced(request, database, tool):
    """A table with a fence, and a function that says which of many values it refuses."""
    table = SecretsTable(database, column_type=request.param).create()
    tool.write_catalog(table)
    tool.command("fence", "add", "--catalog", tool.catalog, "--retired", *RETIRED, "--allow-unknown-keys").expect(0)
    database.execute(
        f"""
        CREATE TABLE candidate (n int PRIMARY KEY, v {request.param});
        CREATE FUNCTION refused() RETURNS TABLE (n int, state text) LANGUAGE plpgsql AS $$
        DECLARE c record;
        BEGIN
            FOR c IN SELECT * FROM candidate LOOP
                BEGIN
                    INSERT INTO llm_providers (id, api_key_encrypted) VALUES (c.n, c.v);
                EXCEPTION WHEN OTHERS THEN
                    n := c.n; state := SQLSTATE; RETURN NEXT;
                END;
            END LOOP;
        END $$
        """
    )
    return table


def refused(table, values) -> set:
    """The numbers of the refused ones; anything but a refusal by the constraint fails."""
    as_bytes = table.column_type == "bytea"
    rows = [
        (n, Binary(v if isinstance(v, bytes) else v.encode()) if as_bytes and v is not None else v)
        for n, v in enumerate(values)
    ]
    with table.database.transaction() as cursor:
        cursor.execute("TRUNCATE candidate, llm_providers")
        execute_values(cursor, "INSERT INTO candidate VALUES %s", rows, f"(%s, %s::{table.column_type})", 500)
        cursor.execute("SELECT n, state FROM refused()")
        found = cursor.fetchall()
    errors = [(state, values[n]) for n, state in found if state != "23514"]
    assert not errors, errors[:3]
    return {n for n, _ in found}


@pytest.mark.watchdog(900)
def test_legal_shapes_are_told_apart_exactly(fenced):
    rng = random.Random(f"fence {fenced.column_type}")
    keys = {key_id: KeyEncryptionKey.generate(key_id) for key_id in RETIRED + CURRENT}
    members = unknown_members(fenced.column_type) + [
        decoy for decoy in DECOYS if fenced.column_type != "jsonb" or decoy[0] not in NOT_IN_JSONB
    ]
    for start in range(0, SHAPES, 10_000):
        ids, values = [], []
        for _ in range(min(10_000, SHAPES - start)):
            ids.append(rng.choice(RETIRED if rng.random() < 0.5 else CURRENT))
            spelling = CANONICAL if rng.random() < 0.1 else random_spelling(rng, members)
            values.append(seal(keys[ids[-1]], b"x" * rng.randint(0, 40), spelling).text)
        found = refused(fenced, values)
        wrong = [value for n, value in enumerate(values) if (ids[n] in RETIRED) != (n in found)]
        assert not wrong, (len(wrong), wrong[:2])


def test_each_decoy_on_either_side_of_the_key_id(fenced):
    values, retired = [], []
    for key_id in ("kek-v2", "kek-v3", "kek-v1", "a.b_C-9"):
        for decoy in DECOYS:
            if fenced.column_type == "jsonb" and decoy[0] in NOT_IN_JSONB:
                continue
            for position in (0, 6):
                for escaped in (frozenset(), frozenset(["key_id"])):
                    spelling = Spelling(unknown=((position, *decoy),), escaped_names=escaped, escaped_values=escaped)
                    known = dict(zip(MEMBERS, (1, ALGORITHM, key_id, "QQ==", "QQ==", "QQ==")))
                    values.append(spell(known, spelling)[0])
                    retired.append(key_id in RETIRED)
    found = refused(fenced, values)
    assert found == {n for n, is_retired in enumerate(retired) if is_retired}


def test_every_way_to_escape_one_character(fenced):
    values = []
    for name in ("key_id", "kek-v1"):
        for position, character in enumerate(name):
            for code in {f"\\u{ord(character):04x}", f"\\u{ord(character):04X}"}:
                spelled = name[:position] + code + name[position + 1 :]
                member = f'"{spelled}":"kek-v1"' if name == "key_id" else f'"key_id" : "{spelled}"'
                values.append("{" + member + "}")
                values.append('{"a":"\\\\",' + member + "}")
    assert refused(fenced, values) == set(range(len(values)))


GARBAGE = [
    "", " ", "{", "}", "[", '"', "\\", '"\\', "kek-v1", '"kek-v1"', '"key_id":"kek-v1"', '["key_id","kek-v1"]',
    '[{"key_id":"kek-v1"}]', '[{"a":1},"key_id","kek-v1"]', '{"key_id":["kek-v1"]}', '{"key_id":{"key_id":"kek-v1"}}',
    "{" * 5_000 + '"kek-v1"', "[" * 5_000 + '"key_id":"kek-v1"' + "]" * 5_000, "}{" * 5_000 + '"kek-v1"\\u00',
    "\\" * 10_001 + '"kek-v1"', '"' * 9_999 + "kek-v1", "sk-live-plain \"kek-v1\" \\u00", "null", "1", "\\u0000",
    '"\\u0000 \\ud800 kek-v1"', "x" * 200_000 + '"kek-v1"', 'a"key_id":"kek-v1"', '{"a":"b" {"key_id":"kek-v1"}',
    '{"key_id":"kek-v10"', "<key_id>\"kek-v1\"</key_id>", "' OR true -- \"kek-v1\"",
]  # fmt: skip


def test_what_is_no_envelope_raises_no_error_and_is_accepted(fenced):
    """Nothing here has a member key_id of a retired id in an outermost object."""
    values = list(GARBAGE)
    if fenced.column_type == "bytea":
        values += [bytes(range(256)), b'\xff"key_id":"kek-v1"\x00', b'{"a":"\xc3', b"\x00" * 1_000 + b'"kek-v1"']
    if fenced.column_type in ("json", "jsonb"):
        values = [value for value in values if is_json(value, fenced.column_type)]
    assert refused(fenced, values) == set()
    assert refused(fenced, [None]) == set()


def test_bytes_beyond_ascii_end_no_string(fenced):
    """In a bytea they reach the expression as a backslash and digits."""
    values = [
        '{"é":"ü\\\\é","x":"\\"é","key_id":"%s","y":"é\\"","z":"é"}' % key_id for key_id in ("kek-v1", "kek-v2")
    ] + ['{"x":"é\\\\123é\\\\","key_id":"%s"}' % key_id for key_id in ("kek-v1", "kek-v2")]
    assert refused(fenced, values) == {0, 2}


def test_a_very_long_value_in_an_unusual_spelling_is_refused_rather_than_an_error(fenced):
    if fenced.column_type == "jsonb":
        pytest.skip("jsonb is parsed by the server, and its strings end at 256 MB")
    filler = '"filler":"' + "é" * 9_000_000 + '"'
    plain, escaped = '{%s,"key_id":"kek-v2"}', '{%s,"key_id":"kek-v2","note":"\\u00e9"}'
    assert refused(fenced, [plain % filler, escaped % filler]) == {1}


def is_json(text, column_type) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return column_type == "json" or "\\u0000" not in text
