"""A part is not taken for the whole: the verdict has a scope and a strength, in its words, exit code and report."""

import contextlib
import json
import pathlib
import re

import jsonschema
import psycopg2
import pytest

from envelope_reference import KeyEncryptionKey, seal
from private_postgres import PrivatePostgres
from support.openssl_keys import SigningKey
from support.rotation_tool import REPOSITORY
from support.secrets_table import SecretsTable
from test_verify_on_standbys import standby, wait_until_replayed  # noqa: F401

SCHEMA = json.loads((REPOSITORY / "docs/report.schema.json").read_text(encoding="utf-8"))
SUFFICES = "no value needs a key other than"


@pytest.fixture
def key(tmp_path):
    return SigningKey.generate(tmp_path)


@pytest.fixture
def table(database, tool, kek_v2):
    """All good."""
    table = SecretsTable(database).create().fill(kek_v2, range(20))
    tool.write_catalog(table)
    return table


@pytest.fixture
def two(database, tool, table, kek_v1):
    """One table is good, the other one is old."""
    other = SecretsTable(database, name="others").create().fill(kek_v1, range(3))
    tool.write_catalog(table, other)
    return table, other


def verify(tool, *arguments, **options):
    return tool.command("verify", "--catalog", tool.catalog, *arguments, **options)


def reported(tool, key, *arguments):
    """The outcome, and the path of its signed report."""
    path = tool.directory / "verification.json"
    return verify(tool, "--report", path, "--sign-key", key.private, *arguments), path


def content(path) -> dict:
    report = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    return report


def check(tool, path, key, *arguments, database_url=None):
    environment = {"PATH": "/usr/bin:/bin"}
    if database_url:
        environment |= {"DATABASE_URL": database_url}
    return tool.command(
        "verify", "--check-report", path, "--public-key", key.public, *arguments, environment=environment
    )


def expect_part(tool, key, *arguments, shown, missing):
    """Exit code 2 and what was shown; with --partial 0, and nothing speaks of a proof."""
    outcome, path = reported(tool, key, *arguments)
    outcome.expect(2)
    first = outcome.stdout.splitlines()[0]
    assert first.startswith("Not proven") and shown in first and missing in first, str(outcome)
    assert SUFFICES not in outcome.output
    report = content(path)
    assert (report["verdict"]["proven"], report["verdict"]["exit_code"]) == (False, 2)
    check(tool, path, key).expect(2)

    outcome, path = reported(tool, key, "--partial", *arguments)
    outcome.expect(0)
    first = outcome.stdout.splitlines()[0]
    assert shown in first and missing in first, str(outcome)
    assert SUFFICES not in outcome.output
    assert "proven" not in outcome.output.lower() and "proof" not in outcome.output.lower(), str(outcome)
    report = content(path)
    verdict = report["verdict"]
    assert (verdict["proven"], verdict["partial"], verdict["exit_code"]) == (False, True, 0)
    assert verdict["result"] != "proven" and verdict["earliest_restore_point"] is None
    said = check(tool, path, key).expect(2)
    assert SUFFICES not in said.output
    return report


# MARK: the whole catalog


def test_the_whole_is_proven(tool, table, key):
    outcome, path = reported(tool, key)
    outcome.expect(0)
    assert f"{SUFFICES} kek-v2" in outcome.stdout.splitlines()[0]
    report = content(path)
    assert report["verdict"]["proven"] is True and report["verdict"]["partial"] is False
    assert report["scope"] == {
        "tables": [table.name], "tables_left_out": [], "is_whole_catalog": True, "depth": "values", "ignored": [],
    }  # fmt: skip
    check(tool, path, key).expect(0)


def test_partial_takes_nothing_from_a_proof(tool, table):
    assert f"{SUFFICES} kek-v2" in verify(tool, "--partial").expect(0).stdout


def test_one_table_is_not_the_catalog(tool, two, key):
    table, other = two
    report = expect_part(
        tool, key, "--table", table.name, shown="each of 20 records opens with kek-v2 alone", missing=other.name
    )
    assert report["scope"]["tables"] == [table.name]
    assert report["scope"]["tables_left_out"] == [other.name]
    assert report["scope"]["is_whole_catalog"] is False
    verify(tool).expect(2)


def test_the_digest_is_of_the_whole_catalog(tool, two):
    table, _ = two
    digests = set()
    for arguments in ([], ["--table", table.name]):
        path = tool.directory / "report.json"
        verify(tool, "--report", path, *arguments)
        digests.add(json.loads(path.read_text())["catalog"]["digest"])
    assert len(digests) == 1


def test_labels_are_not_keys(tool, table, key, kek_v1):
    """Every value is a lie: labelled kek-v2, wrapped by kek-v1."""
    table.database.execute(f"DELETE FROM {table.sql_name}")
    table.insert((n, seal(KeyEncryptionKey("kek-v2", kek_v1.key), b"x")) for n in range(20))
    expect_part(tool, key, "--depth", "labels", shown="each of 20 records carries the label kek-v2", missing="no key was tried")
    verify(tool).expect(2)


def test_keys_are_enough(tool, table):
    assert f"{SUFFICES} kek-v2" in verify(tool, "--depth", "keys").expect(0).stdout


def test_a_sample_is_not_all(tool, table, key):
    table.fill(KeyEncryptionKey("kek-v2", tool.primary.key), range(100, 1_000))
    expect_part(tool, key, "--sample", "50%", shown="records were opened and none failed", missing="Sampled")


def test_no_record_at_all(tool, database, key, table):
    database.execute(f"DELETE FROM {table.sql_name}")
    expect_part(tool, key, shown="There is no record", missing="the database that the applications use")


@pytest.mark.watchdog(180)
def test_an_estimate(database, make_tool, table, standby, key):  # noqa: F811
    wait_until_replayed(database)
    tool = make_tool(standby.url(database.name))
    tool.write_catalog(table)
    report = expect_part(tool, key, shown="each of 20 records opens", missing="standby")
    assert report["verdict"]["result"] == "estimate"


def test_partial_excuses_no_finding(tool, two, database, kek_v1):
    table, other = two
    verify(tool, "--partial").expect(2)
    verify(tool, "--partial", "--table", other.name).expect(2)
    verify(tool, "--partial", "--depth", "labels").expect(2)
    verify(tool, "--partial", "--sample", "99%").expect(2)
    database.execute(f"CREATE TABLE outside AS SELECT * FROM {other.sql_name}")
    assert "outside" in verify(tool, "--partial", "--table", table.name).expect(2).stdout


# MARK: ignored columns


def put(database, name, text):
    database.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, payload text)")
    database.execute(f"INSERT INTO {name} SELECT n, %s FROM generate_series(1, 20) AS n", (text,))


def test_an_ignored_column_full_of_old_values(tool, table, database, kek_v1, key):
    """`ignore:` is for what is not ours. A value under one of our own keys is."""
    put(database, "passed_over", seal(kek_v1, b"x").text)
    tool.write_catalog(table, ignore=["public.passed_over.payload"])
    outcome, path = reported(tool, key)
    outcome.expect(2)
    assert "public.passed_over.payload" in outcome.stdout and "kek-v1" in outcome.stdout
    report = content(path)
    assert report["scope"]["ignored"] == [
        {"schema": "public", "table": "passed_over", "column": "payload", "finding": "envelopes", "key_ids": ["kek-v1"]}
    ]  # fmt: skip
    # The key is taken out of the settings, as the runbook says: it is of the same series as the primary.
    bare = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    verify(tool, environment=bare).expect(2)
    verify(tool, "--partial").expect(2)


def test_an_ignored_column_under_a_key_that_a_setting_retires(tool, table, database):
    put(database, "passed_over", seal(KeyEncryptionKey.generate("master-2019"), b"x").text)
    tool.write_catalog(table, ignore=["public.passed_over.payload"])
    assert "master-2019" in verify(tool).expect(0).stdout, "stated: the key may be another application's"
    assert "public.passed_over.payload" in verify(tool, "--retired", "master-2019").expect(2).stdout


def test_an_ignored_column_of_another_application(tool, table, database, key):
    put(database, "of_another", seal(KeyEncryptionKey.generate("crm-7"), b"x").text)
    tool.write_catalog(table, ignore=["public.of_another.payload", "public.of_another.gone"])
    outcome, path = reported(tool, key)
    outcome.expect(0)
    line = [line for line in outcome.stdout.splitlines() if "public.of_another.payload" in line]
    assert line and "crm-7" in line[0], str(outcome)
    assert [(entry["column"], entry["finding"]) for entry in content(path)["scope"]["ignored"]] == [
        ("payload", "envelopes"), ("gone", None),
    ]  # fmt: skip
    assert "public.of_another.payload" in check(tool, path, key).expect(0).stdout


def test_an_ignored_column_under_the_primary(tool, table, database, kek_v2):
    put(database, "also_ours", seal(kek_v2, b"x").text)
    tool.write_catalog(table, ignore=["public.also_ours.payload"])
    assert "public.also_ours.payload" in verify(tool).expect(0).stdout


@pytest.mark.parametrize("image", ["plain", "hex", "escaped"])
def test_an_ignored_audit_trail(tool, table, database, kek_v1, image):
    """An image of a row holds the envelope among other things; no rotation reaches it, and it needs the key."""
    text = seal(kek_v1, b"x").text
    images = {
        "plain": json.dumps({"old": json.loads(text)}),
        "hex": json.dumps({"old": "\\x" + text.encode().hex()}),
        "escaped": json.dumps({"old": text}),
    }
    put(database, "audit", images[image])
    tool.write_catalog(table, ignore=["public.audit.payload"])
    outcome = verify(tool).expect(2)
    assert "public.audit.payload" in outcome.stdout and "kek-v1" in outcome.stdout, str(outcome)


def test_ignored_columns_are_in_the_digest(tool, table):
    digests = set()
    for ignored in ([], ["public.a.b"], ["public.a.c"], ["public.a.c", "public.a.b"], ["public.a.b", "public.a.c"]):
        tool.write_catalog(table, ignore=ignored)
        path = tool.directory / "report.json"
        verify(tool, "--report", path).expect(0)
        digests.add(json.loads(path.read_text())["catalog"]["digest"])
    assert len(digests) == 4, "the order has no bearing, each column has"


# MARK: which key suffices, and which are retired


def test_it_names_the_key_that_suffices(tool, table, kek_v1):
    outcome = verify(tool).expect(0)
    assert f"{SUFFICES} kek-v2" in outcome.stdout
    assert "kek-v1" in outcome.stdout.splitlines()[0], "the retired id that it knows"
    assert "old key" not in outcome.output


def test_keys_not_exchanged(database, make_tool, kek_v1, key):
    """On a database that was never rotated: true of kek-v1, and nobody may read the opposite."""
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    tool = make_tool(database.url, primary=kek_v1, previous=())
    tool.write_catalog(table)
    outcome = verify(tool).expect(0)
    assert f"{SUFFICES} kek-v1" in outcome.stdout.splitlines()[0]
    assert "old key" not in outcome.output and "may go" not in outcome.output
    warnings = [line.message for line in outcome.log if line.level == "WARNING"]
    assert any("No retired key is known" in message for message in warnings), str(outcome)
    verify(tool, "--retired", "kek-v1").expect_refusal("kek-v1", "primary")


def test_keys_in_each_others_place(database, make_tool, kek_v1, kek_v2):
    """As in a rollback, or by mistake: the verdict is about kek-v1, and a warning says so."""
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    tool = make_tool(database.url, primary=kek_v1, previous=(kek_v2,))
    tool.write_catalog(table)
    outcome = verify(tool).expect(0)
    assert f"{SUFFICES} kek-v1. Retired keys: kek-v2." in outcome.stdout.splitlines()[0]
    assert any("exchange the keys if kek-v1 is to go" in line.message for line in outcome.log)


@pytest.mark.parametrize("retired", ["kek v1", "", "a" * 65, "kek-v2"])
def test_what_is_no_retired_key(tool, table, retired):
    verify(tool, "--retired", retired).expect_refusal("--retired takes ids of former keys")


def test_retired_keys_that_are_named(tool, table, key):
    bare = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    path = tool.directory / "report.json"
    outcome = verify(tool, "--retired", "kek-v1", "--retired", "kek-v0", "--report", path, environment=bare).expect(0)
    assert "kek-v0" in outcome.stdout.splitlines()[0] and "kek-v1" in outcome.stdout.splitlines()[0]
    assert content(path)["keys"]["retired"] == [
        {"id": "kek-v0", "check_value": None}, {"id": "kek-v1", "check_value": None},
    ]  # fmt: skip


def fence(tool, *arguments):
    return tool.command("fence", "add", "--catalog", tool.catalog, *arguments).expect(0)


def test_a_fence_counts_for_the_ids_that_it_names(tool, table):
    fence(tool, "--retired", "kek-v1")
    assert "a fence refuses values under kek-v1" in verify(tool).expect(0).stdout.splitlines()[0]
    outcome = verify(tool, "--retired", "kek-v1", "--retired", "kek-v0").expect(0)
    assert "at this time" in outcome.stdout.splitlines()[0]
    assert "kek-v0" not in " ".join(re.findall(r"a fence refuses values under [^;:.]*", outcome.stdout))


def test_fences_name_the_retired_keys_where_nothing_else_does(tool, table):
    fence(tool, "--retired", "kek-v1")
    bare = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    path = tool.directory / "report.json"
    outcome = verify(tool, "--report", path, environment=bare).expect(0)
    assert "kek-v1" in outcome.stdout.splitlines()[0]
    assert content(path)["keys"]["retired"] == [{"id": "kek-v1", "check_value": None}]
    assert content(path)["fence"]["refused_key_ids"] == ["kek-v1"]


@contextlib.contextmanager
def uncommitted(database, table, value):
    connection = psycopg2.connect(database.url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (1000, %s)", (value.bytes,))
            yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("fenced", ["kek-v0", "kek-v11"])
@pytest.mark.parametrize("knows", ["nothing", "the previous key", "the typo and the previous key"])
def test_another_fence_spares_no_open_transaction(tool, make_tool, table, database, kek_v1, kek_v2, fenced, knows):
    """The fence of an earlier rotation, or one with a typo, says nothing of the key that is going out now."""
    earlier = make_tool(database.url, primary=kek_v2, previous=[KeyEncryptionKey.generate(fenced)])
    earlier.write_catalog(table)
    fence(earlier)
    bare = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    environment = bare if knows == "nothing" else tool.environment()
    more = ["--retired", fenced] if knows.startswith("the typo") else []
    with uncommitted(database, table, seal(kek_v1, b"late")):
        outcome = verify(tool, "--wait-open-transactions", "1s", *more, environment=environment).expect(2)
    assert "was open" in outcome.stdout
    assert "refuses values under retired" not in outcome.output


def test_a_retired_key_that_nothing_here_knows(tool, table):
    outcome = verify(tool, "--retired", "kek-v11").expect(0)
    assert any("kek-v11" in line.message and line.level == "WARNING" for line in outcome.log), str(outcome)
    fence(tool, "--retired", "kek-v1")
    bare = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    outcome = verify(tool, "--retired", "kek-v1", environment=bare).expect(0)
    assert not any("kek-v1" in line.message for line in outcome.log if line.level == "WARNING"), str(outcome)


# MARK: which database a report is about


def test_a_report_about_a_database_that_was_made_again(tool, table, database, server, key, kek_v2):
    """The same name and server, the same content even: another database."""
    outcome, path = reported(tool, key)
    outcome.expect(0)
    check(tool, path, key, "--against-database", database_url=database.url).expect(0)
    with database._maintenance() as cursor:
        cursor.execute(f"DROP DATABASE {database.name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {database.name} TEMPLATE template0")
    check(tool, path, key, "--against-database", database_url=database.url).expect_refusal("made again", database.name)


def test_a_report_about_the_origin_of_a_copy(tool, table, database, key):
    """`CREATE DATABASE … TEMPLATE`, then the names are exchanged."""
    outcome, path = reported(tool, key)
    outcome.expect(0)
    aside = f"{database.name}_aside"
    try:
        with database._maintenance() as cursor:
            cursor.execute(f"ALTER DATABASE {database.name} RENAME TO {aside}")
            cursor.execute(f"CREATE DATABASE {database.name} TEMPLATE {aside}")
        check(tool, path, key, "--against-database", database_url=database.url).expect_refusal("oid")
    finally:
        with database._maintenance() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {aside} WITH (FORCE)")


@pytest.mark.watchdog(240)
def test_a_report_about_a_later_state(tool, table, database, server, server_directory, key):
    """A copy of the files that goes on on the same timeline: it was made before what the report saw."""
    copy = PrivatePostgres(server_directory / f"file-copy-{database.name}")
    copy._copy(server)
    (copy.data / "standby.signal").unlink()
    copy.start()
    try:
        database.execute("CREATE TABLE more_wal AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        outcome, path = reported(tool, key)
        outcome.expect(0)
        url = copy.url(database.name, password=server.password)
        check(tool, path, key, "--against-database", database_url=url).expect_refusal("before", "copy")
        check(tool, path, key, "--against-database", database_url=database.url).expect(0)
    finally:
        copy.stop(immediate=True)


def test_a_role_that_may_not_ask_for_the_system(database, make_tool, table, key):
    """The verdict needs none of it; the comparison does, and says so."""
    role = database.create_role("reader")
    functions = ("pg_control_system", "pg_control_checkpoint", "pg_control_recovery")
    database.execute(";".join(f"REVOKE EXECUTE ON FUNCTION {name}() FROM public" for name in functions))
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}; GRANT pg_read_all_stats TO {role}")
    reader = make_tool(database.url_as(role))
    reader.write_catalog(table)
    outcome, path = reported(reader, key)
    outcome.expect(0)
    assert content(path)["database"]["system_identifier"] is None
    check(reader, path, key, "--against-database", database_url=database.url).expect_refusal("EXECUTE on pg_control_system")


@pytest.mark.watchdog(240)
def test_a_standby_is_the_same_database(tool, table, database, standby, key):  # noqa: F811
    outcome, path = reported(tool, key)
    outcome.expect(0)
    wait_until_replayed(database)
    check(tool, path, key, "--against-database", database_url=standby.url(database.name)).expect(0)


def test_a_report_that_does_not_say_what_it_looked_at(tool, table, key):
    """Reports of 0.1.0 said proven of a part, and of labels: they are not taken for a proof."""
    outcome, path = reported(tool, key)
    outcome.expect(0)
    whole = content(path)
    for changed in (
        {name: value for name, value in whole.items() if name != "scope"},
        {**whole, "scope": {**whole["scope"], "is_whole_catalog": False}},
        {**whole, "scope": {**whole["scope"], "depth": "labels"}, "depth": "labels"},
        {**whole, "verdict": {name: value for name, value in whole["verdict"].items() if name != "proven"}},
        {**whole, "verdict": {**whole["verdict"], "proven": False}},
    ):
        path.write_text(json.dumps(changed), encoding="utf-8")
        key.sign(path)
        check(tool, path, key).expect(2)


# MARK: run and coordinator


def test_run_on_a_part_says_so(tool, two, database, kek_v1):
    table, other = two
    table.insert([(1_000, seal(kek_v1, b"old"))])
    outcome = tool.run("--table", table.name).expect(0)
    (line,) = [message for message in outcome.messages if message.startswith("Complete")]
    assert f"--table {table.name}" in line and "1 other table of the catalog was not looked at" in line
    assert any("Re-encrypted 1 of 21 records" in text for text in (*outcome.messages, outcome.stdout))
    assert outcome.report["tables_left_out"] == [other.name]
    outcome = tool.run().expect(0)
    (line,) = [message for message in outcome.messages if message.startswith("Complete")]
    assert "not looked at" not in line
    assert outcome.report["tables_left_out"] == []


def test_run_with_nothing_to_look_at(tool, table, database):
    for arguments in ([], ["--dry-run"]):
        outcome = tool.run(*arguments).expect(0)
        assert "There was no record" not in outcome.output
    database.execute(f"DELETE FROM {table.sql_name}")
    for arguments in ([], ["--dry-run"]):
        outcome = tool.run(*arguments).expect(0)
        assert any(
            "There was no record" in line.message and "database" in line.message and line.level == "WARNING"
            for line in outcome.log
        ), str(outcome)
