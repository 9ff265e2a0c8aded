"""A catalog's table that a logical subscription writes into: old values arrive after every look at it."""

import pytest

from support.isolated_database import IsolatedDatabase
from support.secrets_table import SecretsTable
from support.waiting import wait_until


@pytest.fixture
def publisher(server):
    """Another database of the server, which publishes; its slots go before it does."""
    database = IsolatedDatabase(server)
    yield database
    with database._maintenance() as cursor:
        cursor.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", (database.name,))
        for (slot,) in cursor.fetchall():
            wait_until(lambda slot=slot: _is_idle(cursor, slot), "nobody uses the slot")
            cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    database.drop()


def _is_idle(cursor, slot):
    cursor.execute("SELECT NOT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
    return cursor.fetchone()[0]


class Subscription:
    """From the publisher's publication to this database, in one server: its slot is made by hand."""

    def __init__(self, publisher, database):
        self.publisher, self.database = publisher, database
        self.name = f"from_{publisher.name}"

    def start(self, enabled=True):
        self.publisher.rows("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (self.name,))
        with self.database.connect(autocommit=True).cursor() as cursor:
            cursor.execute(
                f"CREATE SUBSCRIPTION {self.name} CONNECTION '{self.publisher.url}' PUBLICATION everything "
                f"WITH (create_slot = false, enabled = {str(enabled).lower()}, copy_data = false)"
            )
        return self

    def drop(self):
        with self.database.connect(autocommit=True).cursor() as cursor:
            cursor.execute(f"ALTER SUBSCRIPTION {self.name} DISABLE")
            cursor.execute(f"ALTER SUBSCRIPTION {self.name} SET (slot_name = NONE)")
            cursor.execute(f"DROP SUBSCRIPTION {self.name}")


@pytest.fixture
def subscription(publisher, database):
    subscription = Subscription(publisher, database)
    yield subscription
    subscription.drop()


@pytest.fixture
def replicated(database, publisher, tool, kek_v2):
    """The same table at both ends, empty at the publisher's."""
    SecretsTable(publisher).create()
    publisher.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    table = SecretsTable(database).create().fill(kek_v2, range(10))
    tool.write_catalog(table)
    return table


def command(tool, *arguments):
    return tool.command(*arguments, "--catalog", tool.catalog)


def test_values_arrive_under_the_old_key(database, publisher, tool, replicated, subscription, kek_v1):
    """The case itself: everything is well at each look, and then the publisher's values come."""
    subscription.start()
    outcome = command(tool, "verify").expect(2)
    assert f"the logical subscription {subscription.name}" in outcome.stdout
    SecretsTable(publisher).fill(kek_v1, range(100, 110))
    wait_until(lambda: replicated.count_under(kek_v1) == 10, "the publisher's values arrive")


def test_check_and_run_warn(tool, replicated, subscription):
    subscription.start()
    checked = command(tool, "catalog", "check").expect(0)
    assert "warning" in checked.stdout and subscription.name in checked.stdout
    ran = tool.run().expect(0)
    assert any(line.level == "WARNING" and subscription.name in line.message for line in ran.log)


def test_the_fence_refuses(database, tool, replicated, subscription):
    subscription.start()
    command(tool, "fence", "add").expect_refusal(subscription.name, "enabled")
    command(tool, "fence", "add", "--print-sql").expect_refusal(subscription.name)
    assert not database.value("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'reencrypt%'")


def test_a_disabled_subscription_counts(tool, replicated, subscription):
    subscription.start(enabled=False)
    assert "disabled" in command(tool, "verify").expect(2).stdout
    command(tool, "fence", "add").expect_refusal(subscription.name, "disabled")


def test_nothing_is_said_once_it_is_dropped(database, publisher, tool, replicated):
    subscription = Subscription(publisher, database).start()
    subscription.drop()
    command(tool, "verify").expect(0)
    assert subscription.name not in command(tool, "catalog", "check").expect(0).stdout


def test_an_ordinary_role_is_told(database, make_tool, replicated, subscription):
    subscription.start()
    role = database.create_role("reader")
    database.execute(f"GRANT SELECT ON {replicated.sql_name} TO {role}")
    reader = make_tool(database.url_as(role))
    reader.write_catalog(replicated)
    assert subscription.name in command(reader, "verify").expect(2).stdout


PARTITIONED = [
    "CREATE TABLE tree (id bigint, api_key_encrypted bytea, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
    "CREATE TABLE part PARTITION OF tree FOR VALUES FROM (0) TO (1000)",
]


@pytest.mark.parametrize("published", ["tree", "part"])
@pytest.mark.parametrize("listed", ["tree", "part"])
def test_partitions_and_roots(database, publisher, tool, kek_v2, published, listed):
    """The subscription names the root or a partition, the catalog the one or the other."""
    for end in (database, publisher):
        for statement in PARTITIONED:
            end.execute(statement)
    SecretsTable(database, name="tree").fill(kek_v2, range(10))
    via_root = "true" if published == "tree" else "false"
    publisher.execute(f"CREATE PUBLICATION everything FOR TABLE tree WITH (publish_via_partition_root = {via_root})")
    tool.write_catalog({"name": listed, "encrypted_columns": ["api_key_encrypted"]})
    subscription = Subscription(publisher, database).start(enabled=False)
    try:
        assert database.rows("SELECT srrelid::regclass::text FROM pg_subscription_rel") == [(published,)]
        assert subscription.name in command(tool, "verify").expect(2).stdout
        assert subscription.name in command(tool, "catalog", "check").stdout
        command(tool, "fence", "add").expect_refusal(subscription.name)
    finally:
        subscription.drop()


def test_a_subscription_for_other_tables_is_none_of_ours(database, publisher, tool, kek_v2):
    for end in (database, publisher):
        end.execute("CREATE TABLE other (id int PRIMARY KEY, n int)")
    publisher.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    table = SecretsTable(database).create().fill(kek_v2, range(10))
    tool.write_catalog(table)
    subscription = Subscription(publisher, database).start(enabled=False)
    try:
        command(tool, "verify").expect(0)
    finally:
        subscription.drop()
