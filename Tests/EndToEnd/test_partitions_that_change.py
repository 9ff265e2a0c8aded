"""A partition that comes while the tool runs holds rows that it neither enumerated nor counted: no false success."""

from psycopg2 import Binary

from envelope_reference import seal
from support.waiting import wait_until


def test_a_partition_attached_during_a_run(database, tool, kek_v1, kek_v2):
    database.execute(
        "CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea NOT NULL) PARTITION BY RANGE (id);"
        "CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE secrets_2 (LIKE secrets INCLUDING ALL)"
    )
    with database.transaction() as cursor:
        for number in range(200):
            table = "secrets_1" if number < 100 else "secrets_2"
            value = Binary(seal(kek_v1, b"value %d" % number).bytes)
            cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (number, value))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute("SELECT FROM secrets WHERE id = 50 FOR UPDATE")
        run = tool.start_run("--batch-size", 10)
        under_v2 = "SELECT count(*) FROM secrets_1 WHERE position('\"kek-v2\"'::bytea IN secret) > 0"
        wait_until(lambda: database.value(under_v2) >= 90 or not run.is_running(), "all but the locked row are done")
        database.execute("ALTER TABLE secrets ATTACH PARTITION secrets_2 FOR VALUES FROM (100) TO (200)")
    application.rollback()
    outcome = run.wait().expect(2)
    assert outcome.report["outcome"] == "incomplete"
    assert "secrets_2 was attached" in outcome.report["reason"]

    tool.run().expect(0)
    assert database.value(under_v2.replace("secrets_1", "secrets")) == 200
