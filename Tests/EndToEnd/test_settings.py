"""Keys and addresses: environment, files, `.env`; what is refused, and what the data itself refutes."""

import pytest

from envelope_reference import KeyEncryptionKey
from support.secrets_table import SecretsTable


@pytest.fixture
def table(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    tool.write_catalog(table)
    return table


def run(tool, **changes):
    return tool.run(environment=tool.environment(**changes))


# MARK: where settings come from


def test_keys_in_files(tool, table, kek_v1, kek_v2):
    primary, previous = tool.directory / "primary", tool.directory / "previous"
    primary.write_text(kek_v2.setting + "\n")
    previous.write_text(kek_v1.setting)
    run(
        tool, SECRETS_ENCRYPTION_KEY=None, SECRETS_ENCRYPTION_KEY_PREVIOUS=None,
        SECRETS_ENCRYPTION_KEY_FILE=str(primary), SECRETS_ENCRYPTION_KEY_PREVIOUS_FILE=str(previous),
    ).expect(0)  # fmt: skip
    table.assert_opens_with(kek_v2)


def test_a_missing_key_file(tool, table):
    environment = {"SECRETS_ENCRYPTION_KEY": None, "SECRETS_ENCRYPTION_KEY_FILE": str(tool.directory / "nowhere")}
    run(tool, **environment).expect_refusal("SECRETS_ENCRYPTION_KEY_FILE")


def test_a_dotenv_file(database, tool, table, kek_v1, kek_v2):
    (tool.directory / ".env").write_text(
        f"# the rotation's settings\n\nDATABASE_URL={database.url}\n"
        f'SECRETS_ENCRYPTION_KEY="{kek_v2.setting}"\n'
        f"export SECRETS_ENCRYPTION_KEY_PREVIOUS='{kek_v1.setting}'\n"
        "SOMETHING_ELSE=of no interest\n"
    )
    run(tool, DATABASE_URL=None, SECRETS_ENCRYPTION_KEY=None, SECRETS_ENCRYPTION_KEY_PREVIOUS=None).expect(0)
    table.assert_opens_with(kek_v2)


def test_the_environment_outranks_the_dotenv_file(database, tool, table, kek_v2):
    wrong = KeyEncryptionKey.generate("kek-v7")
    (tool.directory / ".env").write_text(
        f"DATABASE_URL=postgresql://nobody@127.0.0.1:1/nothing\nSECRETS_ENCRYPTION_KEY={wrong.setting}\n"
        f"SECRETS_ENCRYPTION_KEY_PREVIOUS={wrong.setting}\n"
    )
    run(tool).expect(0)
    table.assert_opens_with(kek_v2)


def test_the_variables_of_libpq(server, database, tool, table, kek_v2):
    run(
        tool, DATABASE_URL=None, PGHOST="127.0.0.1", PGPORT=str(server.port), PGUSER="postgres",
        PGPASSWORD=server.password, PGDATABASE=database.name,
    ).expect(0)  # fmt: skip
    table.assert_opens_with(kek_v2)


def test_a_unix_socket(server, database, tool, table, kek_v2):
    run(tool, DATABASE_URL=None, PGHOST=server.socket_directory, PGPORT=str(server.port), PGUSER="postgres",
        PGDATABASE=database.name).expect(0)  # fmt: skip
    table.assert_opens_with(kek_v2)


def test_the_address_outranks_the_variables_of_libpq(tool, table, kek_v2):
    run(tool, PGHOST="127.0.0.1", PGPORT="1", PGDATABASE="nothing", PGUSER="nobody").expect(0)
    table.assert_opens_with(kek_v2)


def test_several_previous_keys(database, make_tool, kek_v1, kek_v2):
    olds = [kek_v1, KeyEncryptionKey.generate("kek-2019"), KeyEncryptionKey.generate("legacy.key_1")]
    table = SecretsTable(database).create()
    for position, kek in enumerate(olds):
        table.fill(kek, range(position * 10, position * 10 + 10))
    tool = make_tool(database.url, previous=olds)
    tool.write_catalog(table)
    outcome = tool.run().expect(0)
    table.assert_opens_with(kek_v2)
    assert 'Available keys: ["kek-v2", "kek-v1", "kek-2019", "legacy.key_1"]' in outcome.messages


def test_white_space_around_previous_keys(tool, table, kek_v1, kek_v2):
    other = KeyEncryptionKey.generate("kek-v0")
    run(tool, SECRETS_ENCRYPTION_KEY_PREVIOUS=f" {other.setting} , {kek_v1.setting} ").expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("previous", [None, ""])
def test_no_previous_key_and_nothing_to_do(database, tool, kek_v2, previous):
    table = SecretsTable(database).create().fill(kek_v2, range(10))
    before = table.versions()
    tool.write_catalog(table)
    outcome = run(tool, SECRETS_ENCRYPTION_KEY_PREVIOUS=previous).expect(0)
    assert "Re-encrypted 0 of 10 records" in outcome.messages
    assert table.versions() == before


# MARK: what is refused


def test_no_primary_key(tool, table):
    run(tool, SECRETS_ENCRYPTION_KEY=None).expect_refusal("SECRETS_ENCRYPTION_KEY")


def test_two_keys_with_one_id(tool, table, kek_v2):
    other = KeyEncryptionKey.generate("kek-v2")
    run(tool, SECRETS_ENCRYPTION_KEY_PREVIOUS=other.setting).expect_refusal("kek-v2")
    first, second = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v1")
    run(tool, SECRETS_ENCRYPTION_KEY_PREVIOUS=f"{first.setting},{second.setting}").expect_refusal("kek-v1")
    assert table.key_ids() == {"kek-v1": 20}


def test_one_key_under_two_ids(tool, table, kek_v1, kek_v2):
    same = KeyEncryptionKey("kek-v3", kek_v2.key)
    setting = f"{kek_v1.setting},{same.setting}"
    run(tool, SECRETS_ENCRYPTION_KEY_PREVIOUS=setting).expect_refusal("kek-v2", "kek-v3")


def test_the_primary_among_the_previous(tool, table, kek_v1, kek_v2):
    """The same id twice, even with the same bytes: two keys with one id."""
    run(tool, SECRETS_ENCRYPTION_KEY_PREVIOUS=f"{kek_v1.setting},{kek_v2.setting}").expect_refusal("kek-v2")


def test_an_unknown_key_id_in_the_data(database, tool, table, kek_v2):
    """Counted and refused, before any row is touched; or, when allowed, failed records."""
    lost = KeyEncryptionKey.generate("kek-v0")
    table.fill(lost, range(100, 107))
    before = table.stored()
    tool.run().expect_refusal("kek-v0", "7", "--allow-unknown-keys")
    assert table.stored() == before
    tool.run("--dry-run").expect(1)

    outcome = tool.run("--allow-unknown-keys").expect(2)

    failures = outcome.report["failures"]
    assert {entry["id"] for entry in failures} == {str(number) for number in range(100, 107)}
    assert {entry["key_id"] for entry in failures} == {"kek-v0"}
    assert {entry["records"] for entry in outcome.report["census_after"] if entry["key_id"] == "kek-v0"} == {7}
    for number in range(100, 107):
        assert table.stored()[number] == before[number]
        del table.sealed[number]
    table.assert_opens_with(kek_v2)


def test_other_bytes_under_the_target_id(database, make_tool, kek_v1, kek_v2):
    """The data holds values under kek-v2 that the configured kek-v2 does not open: it is not the applications' key."""
    table = SecretsTable(database).create().fill(kek_v1, range(20)).fill(kek_v2, range(20, 40))
    before = table.stored()
    tool = make_tool(database.url, primary=KeyEncryptionKey.generate("kek-v2"))
    tool.write_catalog(table)
    tool.run().expect_refusal("kek-v2")
    assert table.stored() == before
    tool.run("--dry-run").expect(1)


def test_other_bytes_under_a_previous_id(database, make_tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    before = table.stored()
    tool = make_tool(database.url, previous=[KeyEncryptionKey.generate("kek-v1")])
    tool.write_catalog(table)
    tool.run().expect_refusal("kek-v1")
    assert table.stored() == before


def test_one_bad_value_does_not_refute_a_key(database, tool, kek_v1, kek_v2):
    """The key is refused only if none of an id's values opens; single bad values are failed records."""
    table = SecretsTable(database).create()
    impostor = KeyEncryptionKey.generate("kek-v1")
    table.fill(impostor, [0]).fill(kek_v1, range(1, 40))
    tool.write_catalog(table)
    outcome = tool.run().expect(2)
    assert [entry["id"] for entry in outcome.report["failures"]] == ["0"]
    del table.sealed[0]
    table.assert_opens_with(kek_v2)


# MARK: key check values


def test_the_expected_check_values(tool, table, kek_v1, kek_v2):
    tool.run("--expect-check-value", f"kek-v2:{kek_v2.check_value}", "--expect-check-value",
             f"kek-v1:{kek_v1.check_value.upper()}").expect(0)  # fmt: skip
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("key_id", ["kek-v2", "kek-v1", "kek-v9"])
def test_another_check_value_than_expected(tool, table, kek_v1, key_id):
    """Also of a key that is not configured at all: what cannot be checked does not hold."""
    tool.run("--expect-check-value", f"{key_id}:0123456789abcdef").expect_refusal(key_id)
    assert table.key_ids() == {"kek-v1": 20}


def test_check_values_are_shown(tool, table, kek_v1, kek_v2):
    outcome = tool.run().expect(0)
    assert kek_v2.check_value in outcome.stderr
    shown = {entry["id"]: entry["check_value"] for entry in outcome.report["keys"]}
    assert shown == {"kek-v2": kek_v2.check_value, "kek-v1": kek_v1.check_value}
    assert outcome.report["target_key"] == {"id": "kek-v2", "check_value": kek_v2.check_value}


def test_a_target_that_nothing_is_under_yet(tool, table, kek_v2):
    """Nothing proves that the applications hold this key: a warning with its check value, and the way to be sure."""
    outcome = tool.run().expect(0)
    warnings = [line.message for line in outcome.log if line.level == "WARNING"]
    assert any(kek_v2.check_value in message or "--expect-check-value" in message for message in warnings), outcome
    again = tool.run().expect(0)
    assert not any("--expect-check-value" in line.message for line in again.log if line.level == "WARNING")
