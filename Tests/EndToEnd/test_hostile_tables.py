"""Triggers, constraints and policies that would make a tool report success over rows that it did not change."""

import pytest

from envelope_reference import seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until

ROWS = 60


@pytest.fixture
def table(database, tool, kek_v1):
    table = SecretsTable(database, more_columns="name text, updated_at timestamptz").create().fill(kek_v1, range(ROWS))
    tool.write_catalog(table)
    return table


def add_trigger(database, table, when, body, level="ROW"):
    database.execute(
        f"""
        CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
        CREATE TRIGGER intruder {when} UPDATE ON {table.sql_name} FOR EACH {level} EXECUTE FUNCTION intrude();
        """
    )


# MARK: row-level security


def protect(database, table):
    database.execute(
        f"""
        ALTER TABLE {table.sql_name} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY some_rows ON {table.sql_name} USING (id < 10);
        """
    )


def test_a_role_from_which_a_policy_hides_rows(database, make_tool, table, kek_v1):
    """It would see ten rows, rotate ten rows and find nothing old: the plainest false success."""
    protect(database, table)
    role = database.create_role("rotator")
    database.execute(f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    tool.run().expect_refusal(table.name, ("row-level", "row level", "policy", "bypassrls"), "bypassrls")
    assert table.key_ids() == {"kek-v1": ROWS}


def test_an_owner_under_a_forced_policy(database, make_tool, table):
    protect(database, table)
    role = database.create_role("owner")
    database.execute(
        f"ALTER TABLE {table.sql_name} FORCE ROW LEVEL SECURITY; ALTER TABLE {table.sql_name} OWNER TO {role}"
    )
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    tool.run().expect_refusal(table.name, ("row-level", "row level", "policy", "bypassrls"))
    assert table.key_ids() == {"kek-v1": ROWS}


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_a_policy_on_one_partition_only(database, make_tool, kek_v1, dry_run):
    """A leaf's own policy counts when the leaf is named, as the tool does."""
    role = database.create_role("rotator")
    database.execute(
        f"""
        CREATE TABLE secrets (part int, id int, secret text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
        CREATE TABLE secrets_0 PARTITION OF secrets FOR VALUES IN (0);
        CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES IN (1);
        ALTER TABLE secrets_1 ENABLE ROW LEVEL SECURITY;
        GRANT SELECT, UPDATE ON secrets, secrets_0, secrets_1 TO {role};
        """
    )
    for number in range(20):
        database.execute("INSERT INTO secrets VALUES (%s, %s, %s)", (number % 2, number, seal(kek_v1, b"x").text))
    tool = make_tool(database.url_as(role))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    tool.run(*dry_run).expect_refusal("secrets_1")


def test_a_role_that_policies_do_not_bind(database, make_tool, table, kek_v2):
    protect(database, table)
    role = database.create_role("rotator", "BYPASSRLS")
    database.execute(f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


def test_a_role_with_no_more_than_it_needs(database, make_tool, table, kek_v2):
    """SELECT and UPDATE on the table are enough; no superuser, no owner."""
    role = database.create_role("rotator")
    database.execute(f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


# MARK: triggers and rules


@pytest.mark.parametrize(
    "body",
    [
        "NEW.api_key_encrypted := OLD.api_key_encrypted; RETURN NEW;",
        "RETURN OLD;",
        "RETURN NULL;",
    ],
    ids=["puts the old value back", "returns the old row", "suppresses the update"],
)
def test_a_trigger_that_undoes_every_update(database, tool, table, body):
    add_trigger(database, table, "BEFORE", body)
    before = table.stored()
    outcome = tool.run().expect_refusal(table.name, "trigger", exit_codes=(2,))
    assert table.stored() == before
    assert outcome.report["outcome"] == "incomplete"
    assert outcome.report["records"]["rewrapped"] == 0
    assert not any(message.startswith(f"Re-encrypted {ROWS} ") for message in outcome.messages)


@pytest.mark.parametrize("undo", ["NEW.api_key_encrypted := OLD.api_key_encrypted;", "RETURN NULL;"])
def test_a_trigger_that_undoes_some_updates(database, tool, table, kek_v2, undo):
    """The other rows of the range are done."""
    add_trigger(database, table, "BEFORE", f"IF OLD.id % 10 = 3 THEN {undo} END IF; RETURN NEW;")
    before = table.stored()
    outcome = tool.run("--batch-size", 7).expect(2)
    after = table.stored()
    undone = [n for n in range(ROWS) if n % 10 == 3]
    for number in undone:
        assert after[number] == before[number]
        del table.sealed[number]
    table.assert_opens_with(kek_v2)
    assert outcome.report["records"]["rewrapped"] == ROWS - len(undone)
    assert table.name in outcome.stderr


def test_a_trigger_that_comes_in_mid_run(database, tool, table, kek_v2):
    """One that the run could not know of: the number of rows that the UPDATE changed tells."""
    before = table.stored()
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 3 FOR UPDATE")
        run = tool.start_run("--batch-size", 7)
        wait_until(lambda: len(table.key_ids()) == 2, "the run has begun")
        add_trigger(database, table, "BEFORE", "IF OLD.id = 3 THEN RETURN NULL; END IF; RETURN NEW;")
    holder.commit()
    outcome = run.wait().expect(2)
    assert [failure["id"] for failure in outcome.report["failures"]] == ["3"], outcome
    assert outcome.report["records"]["rewrapped"] == ROWS - 1
    assert table.stored()[3] == before[3]
    del table.sealed[3]
    table.assert_opens_with(kek_v2)


def test_a_trigger_that_writes_something_else(database, tool, table):
    """The stored value is not the one that was sent: what does not open must not be counted as done."""
    add_trigger(
        database, table, "BEFORE",
        "NEW.api_key_encrypted := overlay(NEW.api_key_encrypted placing 'AAAA'::bytea from 90); RETURN NEW;",
    )  # fmt: skip
    before = table.stored()
    outcome = tool.run().expect(1, 2)
    assert table.stored() == before, "values that do not open were committed"
    assert outcome.report["records"]["rewrapped"] == 0


@pytest.mark.parametrize("when", ["BEFORE", "AFTER"])
def test_a_harmless_trigger(database, tool, table, kek_v2, when):
    """The usual updated_at and audit triggers."""
    database.execute("CREATE TABLE audit (id bigint)")
    add_trigger(database, table, when, "NEW.updated_at := now(); INSERT INTO audit VALUES (OLD.id); RETURN NEW;")
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)
    assert database.value("SELECT count(DISTINCT id) FROM audit") == ROWS


def test_a_trigger_that_fails_on_some_rows(database, tool, table, kek_v2):
    """The range is split down to the rows that fail, and only those are left."""
    body = "IF OLD.id IN (13, 37) THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW;"
    add_trigger(database, table, "BEFORE", body)
    before = table.stored()
    outcome = tool.run().expect(2)
    for number in (13, 37):
        assert table.stored()[number] == before[number]
        del table.sealed[number]
    table.assert_opens_with(kek_v2)
    assert {entry["id"] for entry in outcome.report["failures"]} == {"13", "37"}
    assert outcome.report["records"]["rewrapped"] == ROWS - 2


def test_a_row_that_breaks_a_constraint_already(database, tool, table, kek_v2):
    """A NOT VALID constraint lets old rows stay, and refuses every later update of them."""
    database.execute(
        f"""
        UPDATE {table.sql_name} SET name = 'too old' WHERE id = 21;
        ALTER TABLE {table.sql_name} ADD CONSTRAINT modern CHECK (name IS NULL) NOT VALID;
        """
    )
    outcome = tool.run().expect(2)
    del table.sealed[21]
    table.assert_opens_with(kek_v2)
    (failure,) = outcome.report["failures"]
    assert failure["id"] == "21"
    assert "modern" in failure["reason"] or "23514" in failure["reason"] or "constraint" in failure["reason"]


def test_a_deferred_constraint_that_fails_the_commit(database, tool, table, kek_v2):
    """COMMIT itself fails; the rows of its batch must not be counted as done."""
    database.execute(
        f"""
        CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF OLD.id = 30 THEN RAISE EXCEPTION 'not at the end'; END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON {table.sql_name} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION intrude();
        """
    )
    outcome = tool.run().expect(2)
    del table.sealed[30]
    table.assert_opens_with(kek_v2)
    assert outcome.report["records"]["rewrapped"] == ROWS - 1
    assert table.key_ids() == {"kek-v1": 1, "kek-v2": ROWS - 1}


def test_a_disabled_trigger_is_none(database, tool, table, kek_v2):
    add_trigger(database, table, "BEFORE", "RETURN NULL;")
    database.execute(f"ALTER TABLE {table.sql_name} DISABLE TRIGGER intruder")
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


def test_a_rule_that_swallows_updates(database, tool, table):
    """`DO INSTEAD NOTHING`: UPDATE answers with no error and no row."""
    database.execute(f"CREATE RULE swallow AS ON UPDATE TO {table.sql_name} DO INSTEAD NOTHING")
    tool.run().expect_refusal(table.name, "rule", exit_codes=(1, 2))
    assert table.key_ids() == {"kek-v1": ROWS}
