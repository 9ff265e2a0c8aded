"""`verify` says from the database alone whether any value needs a key other than the primary, and names what does."""

import base64
import json

import pytest

from envelope_reference import KeyEncryptionKey, Spelling, parse, seal, spell
from support.secrets_table import SecretsTable

ROWS = 200
ODD = 117  # the row that is not like the others


def verify(tool, *arguments, **options):
    return tool.command("verify", "--catalog", tool.catalog, *arguments, **options)


@pytest.fixture
def table(database, tool, kek_v2):
    """All good."""
    table = SecretsTable(database).create().fill(kek_v2, range(ROWS))
    tool.write_catalog(table)
    return table


def replace(table, identity, text):
    value = text.encode() if isinstance(text, str) else text
    table.database.execute(f"UPDATE {table.sql_name} SET {table.column} = %s WHERE id = %s", (value, identity))


def expect_named(outcome, table, identity, *words):
    """Exit code 2, and one line of the verdict holds table, column, id and reason."""
    outcome.expect(2)
    place = f"{table.catalog_name}.{table.column} (id={identity})"
    lines = [line for line in outcome.stdout.splitlines() if place in line]
    assert lines, f"{place} is not named\n{outcome}"
    assert any(all(word in line for word in words) for line in lines), f"{words} are not said of it\n{outcome}"
    assert any(place in message for message in outcome.messages), f"{place} is not in the log\n{outcome}"


# MARK: what is good


@pytest.mark.parametrize("depth", ["labels", "keys", "values"])
def test_all_is_well(tool, table, depth):
    outcome = verify(tool, "--depth", depth, "--partial").expect(0)
    assert f"ach of {ROWS} records" in outcome.stdout
    assert "at this time" in outcome.stdout, "without a fence the verdict is about a moment"
    assert "What this does not prove" in outcome.stdout


def test_values_is_the_default(tool, table):
    assert "opens with kek-v2 alone" in verify(tool).expect(0).stdout


def test_it_changes_nothing(tool, table):
    before = table.versions()
    verify(tool).expect(0)
    assert table.versions() == before


def test_nulls_are_counted_apart(tool, table):
    table.insert((1_000 + n, None) for n in range(7))
    outcome = verify(tool).expect(0)
    assert f"Each of {ROWS} records" in outcome.stdout
    assert any("NULL" in line and line.rstrip().endswith(" 7") for line in outcome.stdout.splitlines())


def test_every_legal_spelling_opens(tool, table, kek_v2):
    odd = Spelling(order=("ciphertext", "nonce", "key_id", "alg", "dek_wrapped", "version"), before_name=" ",
                   unknown=((1, '"meta"', '{"key_id":"kek-v1"}'),))  # fmt: skip
    table.insert([(1_000, seal(kek_v2, b"x", odd))])
    verify(tool).expect(0)


@pytest.mark.parametrize("column_type", ["text", "varchar", "json", "jsonb"])
def test_each_column_type(database, tool, kek_v1, kek_v2, column_type):
    table = SecretsTable(database, column_type=column_type).create().fill(kek_v2, range(50))
    tool.write_catalog(table)
    verify(tool).expect(0)
    table.insert([(1_000, seal(kek_v1, b"old"))])
    expect_named(verify(tool), table, 1_000, "under kek-v1")


def test_an_empty_table(database, tool):
    """No value needs another key; but is it the right database?"""
    tool.write_catalog(SecretsTable(database).create())
    assert "There is no record" in verify(tool).expect(2).stdout
    assert "There is no record" in verify(tool, "--partial").expect(0).stdout


# MARK: what speaks against it


def test_one_old_row_among_many(tool, table, kek_v1):
    table.insert([(1_000, seal(kek_v1, b"forgotten"))])
    expect_named(verify(tool), table, 1_000, "under kek-v1")
    outcome = verify(tool, "--depth", "labels").expect(2)
    assert "1 of 201 records are not under kek-v2" in outcome.stdout
    assert "--depth values" in outcome.stdout, "how to have it named"


def test_one_old_row_among_a_million(database, tool, kek_v1, kek_v2):
    """By label: the million are made by the server, from the label of one and a row's own bytes."""
    table = SecretsTable(database).create()
    tool.write_catalog(table)
    start = seal(kek_v2, b"x").text.split('"nonce"')[0]
    database.execute(
        f"INSERT INTO {table.sql_name} (id, {table.column}) SELECT n, convert_to(%s || n, 'UTF8') "
        "FROM generate_series(1, 1000000) AS n",
        (start,),
    )
    verify(tool, "--depth", "labels", "--partial").expect(0)
    decoy = Spelling(unknown=((0, '"decoy"', '{"key_id":"kek-v2"}'),))
    replace(table, 777_777, seal(kek_v1, b"old", decoy).text)
    outcome = verify(tool, "--depth", "labels").expect(2)
    assert "1 of 1000000 records are not under kek-v2" in outcome.stdout
    rows = [line.split() for line in outcome.stdout.splitlines() if table.column in line]
    assert [table.name, table.column, "kek-v1", "1"] in rows, str(outcome)


def test_one_old_row_among_many_is_named(database, tool, kek_v1, kek_v2):
    """By value: all of them open, but for one."""
    table = SecretsTable(database).create()
    tool.write_catalog(table)
    database.execute(
        f"INSERT INTO {table.sql_name} (id, {table.column}) SELECT n, %s FROM generate_series(1, 200000) AS n",
        (seal(kek_v2, b"x").bytes,),
    )
    replace(table, 123_456, seal(kek_v1, b"old").text)
    outcome = verify(tool)
    expect_named(outcome, table, 123_456, "under kek-v1")
    assert "1 of 200000 records are not under kek-v2" in outcome.stdout


def test_the_old_key_need_not_be_there(tool, table, kek_v1):
    table.insert([(1_000, seal(kek_v1, b"forgotten"))])
    environment = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    expect_named(verify(tool, environment=environment), table, 1_000, "under kek-v1")


@pytest.mark.parametrize("depth", ["labels", "keys", "values"])
def test_a_decoy_of_the_new_id(tool, table, kek_v1, depth):
    decoy = Spelling(unknown=((0, '"decoy"', '{"key_id":"kek-v2"}'),))
    table.insert([(1_000, seal(kek_v1, b"old", decoy))])
    outcome = verify(tool, "--depth", depth).expect(2)
    if depth != "labels":
        expect_named(outcome, table, 1_000, "under kek-v1")


@pytest.mark.parametrize("depth", ["keys", "values"])
def test_labelled_new_and_wrapped_by_the_old_key(tool, table, kek_v1, depth):
    replace(table, ODD, seal(KeyEncryptionKey("kek-v2", kek_v1.key), b"x").text)
    verify(tool, "--depth", "labels", "--partial").expect(0)  # as said: a quick look
    expect_named(verify(tool, "--depth", depth), table, ODD, "wrapped by another key than kek-v2")


@pytest.mark.parametrize("depth", ["keys", "values"])
def test_wrapped_by_another_key_of_that_name(tool, table, depth):
    replace(table, ODD, seal(KeyEncryptionKey.generate("kek-v2"), b"x").text)
    expect_named(verify(tool, "--depth", depth), table, ODD, "wrapped by another key than kek-v2")


def test_a_flipped_bit_in_a_ciphertext(tool, table):
    members = {name: value for name, value in parse(table.sealed[ODD].text).items()}
    damaged = bytearray(members["ciphertext"])
    damaged[3] ^= 4
    members["ciphertext"] = bytes(damaged)
    replace(table, ODD, encoded(members))
    verify(tool, "--depth", "keys").expect(0)
    expect_named(verify(tool), table, ODD, "damaged", "tag does not match")


def test_the_wrapped_dek_of_another_row(tool, table):
    members = parse(table.sealed[ODD].text)
    members["dek_wrapped"] = parse(table.sealed[ODD + 1].text)["dek_wrapped"]
    replace(table, ODD, encoded(members))
    verify(tool, "--depth", "keys").expect(0)
    expect_named(verify(tool), table, ODD, "tag does not match")


def test_a_truncated_value(tool, table):
    replace(table, ODD, table.sealed[ODD].text[:-40])
    expect_named(verify(tool), table, ODD, "no envelope", "not JSON")


def test_plain_text(tool, table):
    replace(table, ODD, "sk-live-0123456789")
    outcome = verify(tool)
    expect_named(outcome, table, ODD, "no envelope")
    assert "sk-live" not in outcome.output, "what stands in a row is nobody's business"
    assert "(unreadable)" in outcome.stdout


def test_an_empty_value(tool, table):
    replace(table, ODD, "")
    expect_named(verify(tool), table, ODD, "no envelope")


def encoded(members):
    text = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in members.items()}  # fmt: skip
    return spell(text)[0]


def test_an_old_row_in_one_partition(database, tool, kek_v1, kek_v2):
    database.execute(
        """
        CREATE TABLE hooks (tenant int, id bigint, secret text, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
        CREATE TABLE hooks_1 PARTITION OF hooks FOR VALUES IN (1);
        CREATE TABLE hooks_2 PARTITION OF hooks FOR VALUES IN (2);
        """
    )
    with database.transaction() as cursor:
        for tenant in (1, 2):
            for number in range(20):
                kek = kek_v1 if (tenant, number) == (2, 13) else kek_v2
                cursor.execute("INSERT INTO hooks VALUES (%s, %s, %s)", (tenant, number, seal(kek, b"x").text))
    tool.write_catalog({"name": "hooks", "id_column": ["tenant", "id"], "encrypted_columns": ["secret"]})
    outcome = verify(tool).expect(2)
    assert "hooks.secret (id=(2, 13)): under kek-v1" in outcome.stdout, str(outcome)


@pytest.mark.parametrize("depth", ["labels", "values"])
def test_labels_that_lie_side_by_side(database, tool, kek_v1, kek_v2, depth):
    """Stretches of current, old and no values, in two columns: each is counted under its own label."""
    database.execute("CREATE TABLE two (id bigint PRIMARY KEY, a bytea, b text)")
    old, new = seal(kek_v1, b"old").text, seal(kek_v2, b"new").text
    database.execute(
        """
        INSERT INTO two SELECT n, CASE WHEN n % 10 = 0 THEN NULL ELSE convert_to(CASE WHEN n BETWEEN 3000 AND 3099
        THEN %(old)s ELSE %(new)s END, 'UTF8') END, CASE WHEN n > 8000 THEN %(old)s ELSE %(new)s END
        FROM generate_series(1, 9000) AS n
        """.replace("% 10", "%% 10"),
        {"old": old, "new": new},
    )
    tool.write_catalog({"name": "two", "encrypted_columns": ["a", "b"]})
    outcome = verify(tool, "--depth", depth).expect(2)
    rows = [line.split() for line in outcome.stdout.splitlines() if line.split()[:1] == ["two"]]
    for expected in (["a", "kek-v1", "90"], ["a", "kek-v2", "8,010"], ["b", "kek-v1", "1,000"], ["b", "kek-v2", "8,000"]):
        assert ["two", *expected] in rows, str(outcome)


def test_all_old(database, tool, kek_v1):
    """Counted to the last, the first thousand named."""
    table = SecretsTable(database).create().fill(kek_v1, range(1_500))
    tool.write_catalog(table)
    outcome = verify(tool).expect(2)
    assert "1500 of 1500 records are not under kek-v2" in outcome.stdout
    assert sum(message.startswith("Failed: ") for message in outcome.messages) == 1_000
    assert any("500 more records failed" in message for message in outcome.messages)


# MARK: what it refuses to judge, and what it cannot


def test_rows_that_a_policy_hides(database, make_tool, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(20))
    table.insert([(1_000, seal(kek_v1, b"hidden"))])
    role = database.create_role("reader")
    database.execute(
        f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}; ALTER TABLE {table.sql_name} ENABLE ROW LEVEL SECURITY; "
        f"CREATE POLICY visible ON {table.sql_name} USING (id < 1000)"
    )
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    outcome = verify(tool).expect_refusal("row-level security")
    assert "Each of" not in outcome.output


def test_a_role_that_may_only_read(database, make_tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(20))
    role = database.create_role("reader")
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    verify(tool).expect(0)


def test_what_hinders_a_rotation_hinders_no_verdict(database, tool, kek_v2):
    """A full varchar, a rule that swallows updates."""
    length = len(seal(kek_v2, b"x").text)
    table = SecretsTable(database, column_type=f"varchar({length})").create().fill(kek_v2, range(20), lambda _: b"x")
    tool.write_catalog(table)
    database.execute(f"CREATE RULE swallow AS ON UPDATE TO {table.sql_name} DO INSTEAD NOTHING")
    verify(tool).expect(0)


def test_a_sample_proves_nothing(tool, table):
    outcome = verify(tool, "--sample", "50%").expect(2)
    assert "Sampled" in outcome.stdout and "95 % confidence" in outcome.stdout


def test_a_sample_counts_every_label(tool, table, kek_v1):
    table.insert([(1_000, seal(kek_v1, b"old"))])
    assert "1 of 201 records are not under kek-v2" in verify(tool, "--sample", "0.001%").expect(2).stdout


def test_copied_values_are_reported(tool, table):
    """A copy opens like its original: it is no reason to keep the old key."""
    table.insert([(1_000, table.sealed[5].text), (1_001, table.sealed[5].text)])
    outcome = verify(tool).expect(0)
    (line,) = [message for message in outcome.messages if "same nonce and ciphertext" in message]
    for identity in (5, 1_000, 1_001):
        assert f"(id={identity})" in line


@pytest.mark.parametrize(
    "arguments",
    [("--depth", "deep"), ("--concurrency", "0"), ("--sample", "0"), ("--sample", "100%"), ("--watch", "soon"),
     ("--depth", "labels", "--sample", "5%")],
)  # fmt: skip
def test_wrong_usage(tool, table, arguments):
    verify(tool, *arguments).expect(64)


def test_no_secret_is_shown(tool, table, kek_v1, kek_v2):
    replace(table, ODD, table.sealed[ODD].text[:-40])
    output = verify(tool).expect(2).output
    for secret in (kek_v1.setting.split(":")[1], kek_v2.setting.split(":")[1], table.sealed[ODD].text[-80:-40]):
        assert secret not in output
    assert json.loads(table.sealed[ODD].text)["ciphertext"] not in output
