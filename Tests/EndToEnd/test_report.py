"""The report of a verification: its schema, its signature, and the check without database and keys."""

import json
import os
import pathlib
import shutil

import jsonschema
import pytest

from private_postgres import PrivatePostgres
from support.openssl_keys import SigningKey
from support.rotation_tool import REPOSITORY
from support.secrets_table import SecretsTable

SCHEMA = json.loads((REPOSITORY / "docs/report.schema.json").read_text(encoding="utf-8"))
CHALLENGE = "audit 2024-Q1/17"


@pytest.fixture
def key(tmp_path):
    return SigningKey.generate(tmp_path)


@pytest.fixture
def table(database, kek_v2):
    return SecretsTable(database).create().fill(kek_v2, range(20))


@pytest.fixture
def clone(server, server_directory, table):
    """A physical copy of the server, promoted: `pg_basebackup`, as an operator would make one."""
    copy = PrivatePostgres(server_directory / "clone")
    copy.clone_and_promote(server)
    yield copy
    copy.stop(immediate=True)
    shutil.rmtree(copy.directory)


def verify(tool, *arguments):
    return tool.command("verify", "--catalog", tool.catalog, *arguments)


def signed(tool, key, *arguments, exit_code=0) -> pathlib.Path:
    path = tool.directory / "verification.json"
    verify(tool, "--report", path, "--sign-key", key.private, *arguments).expect(exit_code)
    return path


def check(tool, report, key, *arguments):
    """Offline: no database, no keys, no catalog."""
    return tool.command(
        "verify", "--check-report", report, "--public-key", key.public, *arguments,
        environment={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def content(path) -> dict:
    report = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    return report


def test_a_proven_report(tool, table, database, key, kek_v1, kek_v2):
    tool.write_catalog(table)
    path = signed(tool, key, "--challenge", CHALLENGE)
    report = content(path)
    assert report["verdict"]["result"] == "proven" and report["verdict"]["exit_code"] == 0
    assert report["challenge"] == CHALLENGE
    assert report["keys"]["target"] == {"id": "kek-v2", "check_value": kek_v2.check_value}
    assert report["keys"]["retired"] == [{"id": "kek-v1", "check_value": kek_v1.check_value}]
    assert report["census"] == [
        {"table": table.name, "column": table.column, "key_id": "kek-v2", "records": 20}
    ]
    identity = database.rows("SELECT system_identifier::text, current_database() FROM pg_control_system()")[0]
    assert (report["database"]["system_identifier"], report["database"]["name"]) == identity
    assert report["database"]["timeline"] == 1
    assert report["verdict"]["earliest_restore_point"]["lsn"] == report["database"]["snapshot_lsn"]
    said = check(tool, path, key, "--challenge", CHALLENGE).expect(0).stdout
    assert report["verdict"]["sentence"] in said
    assert key.verifies(path), "openssl alone checks it"


def test_a_report_that_proves_nothing(tool, table, key, kek_v1):
    table.insert([(100, "plain text"), (101, None)])
    table.fill(kek_v1, [102])
    tool.write_catalog(table)
    path = signed(tool, key, exit_code=2)
    report = content(path)
    assert report["verdict"]["result"] == "not proven"
    assert report["verdict"]["earliest_restore_point"] is None
    assert report["failures_total"] == 2
    assert {(failure["id"], failure["key_id"]) for failure in report["failures"]} == {
        ("100", None), ("102", "kek-v1"),
    }  # fmt: skip
    assert report["nulls"] == [{"table": table.name, "column": table.column, "rows": 1}]
    said = check(tool, path, key).expect(2).stdout
    assert "The signature is valid" in said and report["verdict"]["sentence"] in said


@pytest.mark.parametrize("arguments", [["--depth", "labels"], ["--depth", "keys"], ["--sample", "50%"]])
def test_every_way_of_looking_keeps_to_the_schema(tool, table, key, arguments):
    tool.write_catalog(table)
    path = tool.directory / "report.json"
    outcome = verify(tool, "--report", path, *arguments).expect(0, 2)
    assert content(path)["verdict"]["exit_code"] == outcome.exit_code


def test_any_changed_byte(tool, table, key):
    tool.write_catalog(table)
    path = signed(tool, key)
    whole = path.read_bytes()
    for position in {0, 1, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        check(tool, path, key).expect_refusal("signature")
        assert not key.verifies(path)
    for changed in (whole + b"\n", whole[:-1], b"\xef\xbb\xbf" + whole, whole.replace(b"\n", b"\r\n"), b""):
        path.write_bytes(changed)
        check(tool, path, key).expect_refusal("signature")
    path.write_bytes(whole)
    signature = pathlib.Path(f"{path}.sig")
    proof = signature.read_bytes()
    assert len(proof) == 64
    for changed in (bytes([proof[0] ^ 1]) + proof[1:], proof[:-1], proof + b"\n", b""):
        signature.write_bytes(changed)
        check(tool, path, key).expect_refusal("signature")
    signature.write_bytes(proof)
    check(tool, path, key).expect(0)


def test_another_key_or_challenge(tool, table, key, tmp_path):
    tool.write_catalog(table)
    path = signed(tool, key, "--challenge", CHALLENGE)
    check(tool, path, SigningKey.generate(tmp_path, "other")).expect_refusal("signature")
    check(tool, path, key, "--challenge", "audit 2024-Q2/1").expect_refusal("another challenge")
    check(tool, path, key).expect(0)
    path = signed(tool, key)
    check(tool, path, key, "--challenge", CHALLENGE).expect_refusal("no challenge")


def test_an_unsigned_report_is_legal_and_says_so(tool, table, key):
    tool.write_catalog(table)
    path = signed(tool, key)
    verify(tool, "--report", path).expect(0)
    assert content(path)["signature"] is None
    assert not pathlib.Path(f"{path}.sig").exists(), "the signature of the earlier report went with it"
    check(tool, path, key).expect_refusal("unsigned")


def test_a_key_that_others_can_read(tool, table, key):
    tool.write_catalog(table)
    key.private.chmod(0o644)
    path = tool.directory / "report.json"
    outcome = verify(tool, "--report", path, "--sign-key", key.private).expect(0)
    assert "can be read by others" in outcome.stderr
    key.private.chmod(0o600)
    assert "can be read" not in verify(tool, "--report", path, "--sign-key", key.private).expect(0).stderr


def test_what_is_no_key(tool, table, key, tmp_path):
    """Refused before anything is looked at."""
    tool.write_catalog(table)
    path = tool.directory / "report.json"
    other = SigningKey.generate(tmp_path, "x25519", "X25519")
    for wrong, words in ((key.public, "no private key"), (other.private, "another algorithm"), ("nowhere", "cannot be opened")):
        verify(tool, "--report", path, "--sign-key", wrong).expect_refusal(words)
    assert not path.exists()
    path = signed(tool, key)
    tool.command("verify", "--check-report", path, "--public-key", key.private).expect_refusal("no public key")


def test_a_report_that_cannot_be_written(tool, table):
    tool.write_catalog(table)
    verify(tool, "--report", "/nowhere/report.json").expect_refusal("/nowhere/report.json")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sign-key", "k"], ["--check-report", "r"], ["--public-key", "k"], ["--against-database"],
        ["--challenge", "x"], ["--check-report", "r", "--public-key", "k", "--report", "r"],
    ],
)  # fmt: skip
def test_options_that_mean_nothing_alone(tool, arguments):
    tool.command("verify", *arguments).expect(64)


def test_another_database_of_the_server(tool, table, make_tool, database, server, key):
    tool.write_catalog(table)
    path = signed(tool, key)
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database.url}
    arguments = ["verify", "--check-report", path, "--public-key", key.public, "--against-database"]
    tool.command(*arguments, environment=environment).expect(0)
    environment["DATABASE_URL"] = server.url("postgres")
    tool.command(*arguments, environment=environment).expect_refusal("postgres")


@pytest.mark.watchdog(240)
def test_a_physical_clone_on_another_timeline_is_told_apart(tool, table, database, server, key, clone):
    """A copy has the origin's system identifier and database; once promoted, a timeline of its own."""
    tool.write_catalog(table)
    path = signed(tool, key)
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database.url}
    arguments = ["verify", "--check-report", path, "--public-key", key.public, "--against-database"]
    tool.command(*arguments, environment=environment).expect(0)
    environment["DATABASE_URL"] = clone.url(database.name, password=server.password)
    tool.command(*arguments, environment=environment).expect_refusal("timeline 2", "promoted")
    copied = tool.directory / "clone.json"
    copy = {**tool.environment(), "DATABASE_URL": environment["DATABASE_URL"]}
    tool.command(
        "verify", "--catalog", tool.catalog, "--report", copied, "--sign-key", key.private, environment=copy
    ).expect(0)
    report = content(copied)
    assert report["database"]["timeline"] == 2
    assert report["database"]["system_identifier"] == content(path)["database"]["system_identifier"]


def test_the_schema_misses_no_member(tool, table, key):
    tool.write_catalog(table)
    report = content(signed(tool, key))
    for member in report:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({name: value for name, value in report.items() if name != member}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**report, "verdict": {**report["verdict"], "exit_code": 2}}, SCHEMA)
    assert set(report) == set(SCHEMA["$defs"]["verification"]["properties"]), "a member that the schema does not tell of"


def test_a_jobs_reports_keep_to_the_schema(tool, database, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    table.insert([(100, "plain text")])
    tool.write_catalog(table)
    environment = tool.environment(SECRETS_ENCRYPTION_KEY=None)
    for outcome in (tool.run("--dry-run"), tool.run(), tool.run(), tool.run(environment=environment)):
        jsonschema.validate(outcome.report, SCHEMA, cls=jsonschema.Draft202012Validator)
        assert set(outcome.report) <= set(SCHEMA["$defs"]["job"]["properties"])
