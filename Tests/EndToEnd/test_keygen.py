"""`keygen`: a new key on standard output, its check value on standard error; no database needed."""

import re

import pytest

from envelope_reference import KeyEncryptionKey
from support.secrets_table import SecretsTable


def keygen(tool, *arguments):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tool.directory)}
    return tool.command("keygen", *arguments, environment=environment)


@pytest.mark.parametrize(
    ("after", "following"),
    [("kek-v1", "kek-v2"), ("kek-v9", "kek-v10"), ("kek-v099", None), ("prod.kek_v41", "prod.kek_v42")],
)
def test_the_next_version(tool, after, following):
    outcome = keygen(tool, "--after", after).expect(0)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}:[A-Za-z0-9+/]{43}=\n", outcome.stdout), outcome
    kek = KeyEncryptionKey.from_setting(outcome.stdout)
    assert kek.key_id != after
    if following:
        assert kek.key_id == following
    assert kek.check_value in outcome.stderr
    assert outcome.stdout.split(":")[1].strip()[:10] not in outcome.stderr


def test_without_a_predecessor(tool):
    KeyEncryptionKey.from_setting(keygen(tool).expect(0).stdout)


def test_never_the_same(tool):
    assert keygen(tool, "--after", "kek-v1").stdout != keygen(tool, "--after", "kek-v1").stdout


@pytest.mark.parametrize("after", ["", "kek v1", "kek:v1", "k" * 65])
def test_a_malformed_predecessor(tool, after):
    outcome = keygen(tool, "--after", after)
    assert outcome.exit_code in (1, 64)
    assert outcome.stdout == ""


def test_a_generated_key_is_usable(database, make_tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(10))
    tool = make_tool(database.url)
    tool.primary = KeyEncryptionKey.from_setting(keygen(tool, "--after", "kek-v1").expect(0).stdout)
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(tool.primary)
