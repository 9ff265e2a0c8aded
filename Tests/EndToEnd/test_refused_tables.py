"""What cannot be rotated is refused before any work: by name, with the reason and what to do about it."""

import pytest

from envelope_reference import KeyEncryptionKey, seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until

GOOD = "CREATE TABLE llm_providers (id bigint PRIMARY KEY, name text, api_key_encrypted bytea)"

# label: (definition, changes to the catalog's entry, words that the refusal must hold; of a tuple, any)
REFUSED = {
    "unknown table": ("", {"name": "llm_provider"}, ["llm_provider", "llm_providers"]),
    "unknown schema": ("", {"name": "nowhere.llm_providers"}, ["nowhere"]),
    "unknown column": ("", {"encrypted_columns": ["api_key"]}, ["api_key", "api_key_encrypted"]),
    "unknown id column": ("", {"id_column": "identity"}, ["identity", ("id", "name")]),
    "column in another case": ("", {"encrypted_columns": ["API_KEY_ENCRYPTED"]}, ["API_KEY_ENCRYPTED"]),
    "view": (
        "CREATE VIEW subject AS SELECT * FROM llm_providers",
        {"name": "subject"},
        ["subject", "view"],
    ),
    "materialized view": (
        "CREATE MATERIALIZED VIEW subject AS SELECT * FROM llm_providers; CREATE UNIQUE INDEX ON subject (id)",
        {"name": "subject"},
        ["subject", "view"],
    ),
    "foreign table": (
        "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;"
        "CREATE FOREIGN TABLE subject (id bigint NOT NULL, api_key_encrypted bytea) SERVER away",
        {"name": "subject", "id_column": "id"},
        ["subject", "foreign"],
    ),
    "foreign partition": (
        "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;"
        "CREATE TABLE subject (id bigint NOT NULL, api_key_encrypted bytea) PARTITION BY LIST (id);"
        "CREATE TABLE subject_1 PARTITION OF subject (PRIMARY KEY (id)) FOR VALUES IN (1);"
        "CREATE FOREIGN TABLE subject_2 PARTITION OF subject FOR VALUES IN (2) SERVER away",
        {"name": "subject", "id_column": "id"},
        [("subject_2", "foreign")],
    ),
    "no key at all": (
        "CREATE TABLE subject (id bigint, api_key_encrypted bytea)",
        {"name": "subject"},
        ["subject", ("key", "unique")],
    ),
    "id without a unique key": (
        "CREATE TABLE subject (id bigint NOT NULL, api_key_encrypted bytea)",
        {"name": "subject", "id_column": "id"},
        ["subject", "unique"],
    ),
    "half of a composite key": (
        "CREATE TABLE subject (tenant_id int, id int, api_key_encrypted bytea, PRIMARY KEY (tenant_id, id))",
        {"name": "subject", "id_column": "id"},
        ["subject", "unique"],
    ),
    "nullable unique key": (
        "CREATE TABLE subject (id bigint UNIQUE, api_key_encrypted bytea)",
        {"name": "subject", "id_column": "id"},
        ["subject", ("null", "not null")],
    ),
    "partial unique index": (
        "CREATE TABLE subject (id bigint NOT NULL, live boolean, api_key_encrypted bytea);"
        "CREATE UNIQUE INDEX ON subject (id) WHERE live",
        {"name": "subject", "id_column": "id"},
        ["subject", "unique"],
    ),
    "unique index over an expression": (
        "CREATE TABLE subject (id text NOT NULL, api_key_encrypted bytea);"
        "CREATE UNIQUE INDEX ON subject (lower(id))",
        {"name": "subject", "id_column": "id"},
        ["subject", "unique"],
    ),
    "invalid unique index": (
        "CREATE TABLE subject (id bigint NOT NULL, api_key_encrypted bytea); CREATE UNIQUE INDEX broken ON subject (id);"
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
        {"name": "subject", "id_column": "id"},
        ["subject", "unique"],
    ),
    "generated column": (
        "CREATE TABLE subject (id bigint PRIMARY KEY, source text, secret text GENERATED ALWAYS AS (source) STORED)",
        {"name": "subject", "encrypted_columns": ["secret"]},
        ["subject", "secret", "generated"],
    ),
    "column type": (
        "CREATE TABLE subject (id bigint PRIMARY KEY, secret integer)",
        {"name": "subject", "encrypted_columns": ["secret"]},
        ["subject", "secret", "integer", "bytea"],
    ),
    "array of text": (
        "CREATE TABLE subject (id bigint PRIMARY KEY, secret text[])",
        {"name": "subject", "encrypted_columns": ["secret"]},
        ["subject", "secret", "text[]"],
    ),
    "id type": (
        "CREATE TABLE subject (id double precision PRIMARY KEY, api_key_encrypted bytea)",
        {"name": "subject"},
        ["subject", "double precision"],
    ),
    "encrypted id": (
        "CREATE TABLE subject (id text PRIMARY KEY)",
        {"name": "subject", "id_column": "id", "encrypted_columns": ["id"]},
        ["subject"],
    ),
    "published without replica identity": (
        "CREATE TABLE subject (id bigint NOT NULL, api_key_encrypted bytea); CREATE UNIQUE INDEX ON subject (id);"
        "CREATE PUBLICATION everything FOR TABLE subject",
        {"name": "subject", "id_column": "id"},
        ["subject", "replica identity"],
    ),
    "published with all tables": (
        "CREATE TABLE subject (id bigint NOT NULL, api_key_encrypted bytea); CREATE UNIQUE INDEX ON subject (id);"
        "CREATE PUBLICATION everything FOR ALL TABLES",
        {"name": "subject", "id_column": "id"},
        ["subject", "replica identity"],
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_refused_at_the_start(database, tool, kek_v1, label):
    definition, changes, words = REFUSED[label]
    database.execute(GOOD)
    table = SecretsTable(database).fill(kek_v1, range(10))
    if definition:
        with database.transaction() as cursor:
            cursor.execute("SET allow_system_table_mods = on")
            cursor.execute(definition)
    subject = {"name": "llm_providers", "encrypted_columns": ["api_key_encrypted"], **changes}
    tool.write_catalog(table, subject) if subject["name"] != "llm_providers" else tool.write_catalog(subject)

    tool.run().expect_refusal(*words)

    assert table.key_ids() == {"kek-v1": 10}, "another table was worked on before the refusal"
    # A dry run may look at a table that only an UPDATE would fail on, if it says so.
    dry = tool.run("--dry-run").expect(0, 1)
    warned = any(line.level == "WARNING" and "subject" in line.message for line in dry.log)
    assert dry.exit_code == 1 or warned, f"the dry run does not say what the run would be refused for\n{dry}"


def test_a_replica_identity_is_enough(database, tool, kek_v1, kek_v2):
    database.execute(
        """
        CREATE TABLE llm_providers (id bigint NOT NULL, name text, api_key_encrypted bytea);
        CREATE UNIQUE INDEX by_id ON llm_providers (id);
        ALTER TABLE llm_providers REPLICA IDENTITY USING INDEX by_id;
        CREATE PUBLICATION everything FOR TABLE llm_providers;
        """
    )
    table = SecretsTable(database).fill(kek_v1, range(10))
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


def test_a_publication_of_inserts_only(database, tool, kek_v1, kek_v2):
    """It does not publish updates, so a missing replica identity is no obstacle."""
    database.execute(
        """
        CREATE TABLE llm_providers (id bigint NOT NULL, name text, api_key_encrypted bytea);
        CREATE UNIQUE INDEX by_id ON llm_providers (id);
        CREATE PUBLICATION inserts FOR TABLE llm_providers WITH (publish = 'insert');
        """
    )
    table = SecretsTable(database).fill(kek_v1, range(10))
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("missing", ["SELECT", "UPDATE"])
def test_a_missing_privilege(database, make_tool, kek_v1, missing):
    table = SecretsTable(database).create().fill(kek_v1, range(10))
    role = database.create_role("rotator")
    granted = {"SELECT": "UPDATE", "UPDATE": "SELECT"}[missing]
    database.execute(f"GRANT {granted} ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    tool.run().expect_refusal(table.name, missing, "grant")
    assert table.key_ids() == {"kek-v1": 10}


def test_a_schema_that_may_not_be_used(database, make_tool, kek_v1):
    database.execute("CREATE SCHEMA closed")
    table = SecretsTable(database, schema="closed", name="secrets").create().fill(kek_v1, range(10))
    role = database.create_role("rotator")
    database.execute(f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog({"name": "closed.secrets", "encrypted_columns": [table.column]})
    tool.run().expect_refusal("closed")


class TestVarcharThatALongerKeyIDWouldOverflow:
    """The column was sized for today's key id; error 22001 in the middle of the work would be too late."""

    LONG = "kek-v2-with-a-long-name"

    def make(self, database, make_tool, kek_v1, spare):
        length = len(seal(kek_v1, b"x" * 20).text)
        table = SecretsTable(database, column_type=f"varchar({length + spare})").create()
        table.insert((number, seal(kek_v1, b"x" * 20)) for number in range(20))
        primary = KeyEncryptionKey.generate(self.LONG)
        tool = make_tool(database.url, primary=primary, previous=[kek_v1])
        tool.write_catalog(table)
        return table, tool, primary

    def test_too_short(self, database, make_tool, kek_v1):
        table, tool, _ = self.make(database, make_tool, kek_v1, spare=len(self.LONG) - len("kek-v1") - 1)
        tool.run().expect_refusal(table.name, table.column, "varchar")
        assert table.key_ids() == {"kek-v1": 20}

    def test_just_long_enough(self, database, make_tool, kek_v1):
        table, tool, primary = self.make(database, make_tool, kek_v1, spare=len(self.LONG) - len("kek-v1"))
        tool.run().expect(0)
        table.assert_opens_with(primary)


def test_a_column_renamed_from_under_the_run_is_named(database, tool, kek_v1):
    """A clear end, no hang and no success, when the schema changes while it works."""
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    tool.write_catalog(table)
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 3 FOR UPDATE")
        run = tool.start_run("--batch-size", 10)
        wait_until(lambda: len(table.key_ids()) == 2, "the run has begun")
        cursor.execute(f"ALTER TABLE {table.sql_name} RENAME COLUMN {table.column} TO moved")
    holder.commit()
    outcome = run.wait().expect(1, 2)
    assert table.name in outcome.stderr
