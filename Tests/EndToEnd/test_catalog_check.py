"""`catalog check` compares the catalog with the database and changes nothing."""

import pytest

from support.secrets_table import SecretsTable
from test_refused_tables import GOOD, REFUSED


def check(tool, **options):
    return tool.command("catalog", "check", "--catalog", tool.catalog, **options)


def test_all_is_well(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(10))
    before = table.versions()
    tool.write_catalog(table)
    outcome = check(tool).expect(0)
    assert table.name in outcome.output
    assert table.versions() == before


def test_it_needs_no_keys(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(10))
    tool.write_catalog(table)
    environment = tool.environment(SECRETS_ENCRYPTION_KEY=None, SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    check(tool, environment=environment).expect(0)


@pytest.mark.parametrize("label", REFUSED)
def test_each_complaint(database, tool, label):
    definition, changes, words = REFUSED[label]
    database.execute(GOOD)
    if definition:
        with database.transaction() as cursor:
            cursor.execute("SET allow_system_table_mods = on")
            cursor.execute(definition)
    tool.write_catalog({"name": "llm_providers", "encrypted_columns": ["api_key_encrypted"], **changes})
    check(tool).expect_refusal(*words)


def test_all_complaints_at_once(database, tool):
    """An operator mends a catalog in one go, not one complaint a try."""
    database.execute(GOOD)
    database.execute("CREATE VIEW some_view AS SELECT * FROM llm_providers")
    tool.write_catalog(
        {"name": "nowhere_to_be_found", "encrypted_columns": ["x"]},
        {"name": "some_view", "encrypted_columns": ["api_key_encrypted"]},
        {"name": "llm_providers", "encrypted_columns": ["no_such_column"]},
    )
    check(tool).expect_refusal("nowhere_to_be_found", "some_view", "no_such_column")


BROKEN_FILES = {
    "no YAML": "tables: [",
    "no tables": "tables: []\n",
    "empty": "",
    "another shape": "- llm_providers\n",
    "no columns": "tables:\n  - name: llm_providers\n    encrypted_columns: []\n",
    "columns missing": "tables:\n  - name: llm_providers\n",
    "name missing": "tables:\n  - encrypted_columns: [a]\n",
    "misspelt member": "tables:\n  - name: llm_providers\n    encrypted_column: [api_key_encrypted]\n",
    "column twice": "tables:\n  - name: llm_providers\n    encrypted_columns: [api_key_encrypted, api_key_encrypted]\n",
    "unbalanced quotes": "tables:\n  - name: '\"llm_providers'\n    encrypted_columns: [api_key_encrypted]\n",
    "name of three parts": "tables:\n  - name: a.b.c\n    encrypted_columns: [api_key_encrypted]\n",
    "table twice": "tables:\n" + 2 * "  - name: llm_providers\n    encrypted_columns: [api_key_encrypted]\n",
    "table twice, spelt otherwise": (
        "tables:\n  - name: llm_providers\n    encrypted_columns: [api_key_encrypted]\n"
        "  - name: public.llm_providers\n    encrypted_columns: [api_key_encrypted]\n"
    ),
}


@pytest.mark.parametrize("label", BROKEN_FILES)
def test_a_broken_file(database, tool, label):
    database.execute(GOOD)
    tool.catalog.write_text(BROKEN_FILES[label])
    check(tool).expect(1)
    tool.run().expect(1)


def test_a_missing_file(tool):
    tool.catalog = tool.directory / "nowhere.yaml"
    check(tool).expect_refusal("nowhere.yaml")
