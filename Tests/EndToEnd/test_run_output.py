"""What a run says and where: results on standard output, logs on standard error, everything in the report."""

import datetime
import json
import os
import pty
import re
import select
import time

import pytest

from envelope_reference import seal
from support.rotation_tool import LOG_LINE
from support.secrets_table import SecretsTable
from support.waiting import wait_until


@pytest.fixture
def table(database, tool, kek_v1, kek_v2):
    """42 old records of 100, and NULLs, which are none."""
    table = SecretsTable(database).create().fill(kek_v1, range(42)).fill(kek_v2, range(42, 100))
    table.insert((number, None) for number in range(100, 110))
    tool.write_catalog(table)
    return table


def test_the_lines_of_the_runbook(tool, table):
    outcome = tool.run().expect(0)
    expected = [
        "Encryption service initialized. Primary key: kek-v2",
        'Available keys: ["kek-v2", "kek-v1"]',
        "Connected to database",
        "Processing table: llm_providers",
        "Re-encrypted 42 of 100 records",
    ]
    assert [message for message in outcome.messages if message in expected] == expected, outcome
    assert outcome.messages[-1] == expected[-1]


def test_text_log_lines(tool, table):
    outcome = tool.run("--log-level", "debug").expect(0)
    for line in outcome.stderr.splitlines():
        assert LOG_LINE.match(line), f"no log line: {line!r}"
    assert not re.search(r"^\d{4}-\d\d-\d\dT", outcome.stdout, re.M), "log lines on standard output"
    now = datetime.datetime.now(datetime.timezone.utc)
    written = datetime.datetime.fromisoformat(outcome.log[-1].time.replace("Z", "+00:00"))
    assert abs((now - written).total_seconds()) < 60, "the time is not UTC"


def test_json_log_lines(tool, table):
    outcome = tool.run("--log-format", "json").expect(0)
    entries = [json.loads(line) for line in outcome.stderr.splitlines()]
    said = [value for entry in entries for value in entry.values() if isinstance(value, str)]
    assert "Re-encrypted 42 of 100 records" in said
    assert all(any(str(value).upper() == "INFO" for value in entry.values()) for entry in entries
               if "Re-encrypted 42 of 100 records" in entry.values())  # fmt: skip


def test_the_log_level(tool, table):
    quiet = tool.run("--dry-run", "--log-level", "error").expect(0)
    assert [line for line in quiet.log if line.level not in ("ERROR", "CRITICAL")] == []


def test_no_terminal_no_progress_bar(tool, table):
    outcome = tool.run().expect(0)
    assert "\x1b" not in outcome.output and "\r" not in outcome.output


def read_terminal(terminal) -> bytes:
    """What was drawn in the last moment; nothing once the other side has closed."""
    try:
        return os.read(terminal, 65536) if select.select([terminal], [], [], 0.1)[0] else b""
    except OSError:
        return b""


def test_a_progress_bar_on_a_terminal(database, tool, kek_v1, kek_v2):
    """With rate and ETA. A locked row holds the run up for long enough that a bar must be drawn."""
    table = SecretsTable(database).create().fill(kek_v1, range(500))
    tool.write_catalog(table)
    application = database.connect()
    terminal, side = pty.openpty()
    drawn = bytearray()
    try:
        with application.cursor() as cursor:
            cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 10 FOR UPDATE")
            run = tool.start_run("--batch-size", 20, stderr=side)
            os.close(side)
            started = time.monotonic()
            wait_until(lambda: table.count_under(kek_v2) == 499, "all rows but the locked one are done")
            while time.monotonic() - started < 3:
                drawn += read_terminal(terminal)
        application.rollback()
        while run.is_running():
            drawn += read_terminal(terminal)
        run.wait().expect(0)
    finally:
        os.close(terminal)
    text = drawn.decode(errors="replace")
    assert "\r" in text.replace("\r\n", "\n"), "nothing is drawn in place"
    assert re.search(r"/\s?s\b", text), f"no rate: {text[-500:]!r}"
    assert "eta" in text.lower(), f"no ETA: {text[-500:]!r}"


def test_progress_lines_elsewhere(database, tool, kek_v1, kek_v2):
    """At least every thousand records or second, whichever is rarer: so at least one in a run of some seconds."""
    table = SecretsTable(database).create().fill(kek_v1, range(3_000))
    tool.write_catalog(table)
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 10 FOR UPDATE")
        run = tool.start_run("--batch-size", 20)
        wait_until(lambda: table.count_under(kek_v2) == 2_999, "all rows but the locked one are done")
        wait_until(lambda: re.search(r"\b\d[\d,]*\b.*\b3,?000\b", run.stderr_so_far()), "a progress line", timeout=10)
    application.rollback()
    run.wait().expect(0)


def test_the_report(database, tool, kek_v1, kek_v2):
    first = SecretsTable(database, name="first").create().fill(kek_v1, range(30)).fill(kek_v2, range(30, 50))
    second = SecretsTable(database, name="second", column_type="jsonb").create().fill(kek_v1, range(10))
    first.insert([(60, "no envelope"), (61, None)])
    tool.write_catalog(first, second)

    report = tool.run().expect(2).report

    assert report["schema_version"] == 1
    assert report["tool"]["name"] == "reencrypt-secrets" and report["tool"]["version"]
    started = datetime.datetime.fromisoformat(report["started_at"].replace("Z", "+00:00"))
    finished = datetime.datetime.fromisoformat(report["finished_at"].replace("Z", "+00:00"))
    assert started <= finished
    assert 0 < report["duration_seconds"] < 60
    assert (report["outcome"], report["mode"], report["dry_run"]) == ("incomplete", "rewrap", False)
    assert report["reason"]
    assert report["sweeps"] >= 1
    assert report["target_key"] == {"id": "kek-v2", "check_value": kek_v2.check_value}
    assert isinstance(report["database"], dict) and database.name in json.dumps(report["database"])
    assert database.server.password not in json.dumps(report)

    def census(name):
        return {(entry["table"], entry["column"], entry["key_id"]): entry["records"] for entry in report[name]
                if entry["records"]}  # fmt: skip

    column = first.column
    assert census("census_before") == {
        ("first", column, "kek-v1"): 30, ("first", column, "kek-v2"): 20, ("first", column, None): 1,
        ("second", column, "kek-v1"): 10,
    }  # fmt: skip
    assert census("census_after") == {
        ("first", column, "kek-v2"): 50, ("first", column, None): 1, ("second", column, "kek-v2"): 10,
    }  # fmt: skip
    counts = report["records"]
    assert counts["total_first_census"] == 61
    assert (counts["handed_out"], counts["rewrapped"], counts["superseded"], counts["failed"]) == (41, 40, 0, 1)
    (failure,) = report["failures"]
    assert (failure["table"], failure["id"], failure["column"]) == ("first", "60", column)
    assert failure["key_id"] is None and failure["reason"]


def test_the_report_of_a_complete_run(tool, table):
    report = tool.run().expect(0).report
    assert (report["outcome"], report["reason"], report["failures"]) == ("complete", None, [])


@pytest.mark.parametrize("refusal", ["unknown column", "unknown key id"])
def test_the_report_of_a_refusal(database, tool, table, refusal):
    """Whoever reads reports, not logs, must see that nothing was done, and why."""
    environment = tool.environment()
    if refusal == "unknown column":
        tool.write_catalog({"name": table.name, "encrypted_columns": ["nothing"]})
    else:
        environment = tool.environment(SECRETS_ENCRYPTION_KEY_PREVIOUS=None)
    report = tool.run(environment=environment).expect(1).report
    assert report["outcome"] == "refused"
    assert report["reason"]


def test_an_existing_report_is_replaced_whole(tool, table):
    path = tool.directory / "report.json"
    path.write_text("x" * 100_000)
    tool.command("run", "--catalog", tool.catalog, "--report", path).expect(0)
    assert json.loads(path.read_text())["outcome"] == "complete"


def test_the_sessions_can_be_told_in_the_servers_views(database, tool, kek_v1, kek_v2):
    """An administrator sees whose sessions these are."""
    table = SecretsTable(database).create().fill(kek_v1, range(100))
    tool.write_catalog(table)
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 10 FOR UPDATE")
        run = tool.start_run("--batch-size", 20)
        wait_until(lambda: table.count_under(kek_v2) == 99, "all rows but the locked one are done")
        names = {name for (name,) in database.rows(
            "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND application_name NOT IN ('application', 'test')"
        )}  # fmt: skip
        assert names and all("reencrypt-secrets" in name for name in names), names
    application.rollback()
    run.wait().expect(0)


def test_a_value_written_meanwhile_counts_as_superseded_or_not_at_all(database, tool, kek_v1, kek_v2):
    """A row that the application moved to the new key while it held the range up is not the tool's work."""
    table = SecretsTable(database).create().fill(kek_v1, range(100))
    tool.write_catalog(table)
    application = database.connect()
    with application.cursor() as cursor:
        replacement = seal(kek_v2, b"by the application")
        cursor.execute(f"UPDATE {table.sql_name} SET {table.column} = %s WHERE id = 10", (replacement.bytes,))
        run = tool.start_run("--batch-size", 20)
        wait_until(lambda: table.count_under(kek_v2) == 99, "all rows but the locked one are done")
    application.commit()
    table.sealed[10] = replacement
    outcome = run.wait().expect(0)
    table.assert_opens_with(kek_v2)
    counts = outcome.report["records"]
    assert counts["rewrapped"] == 99
    assert counts["rewrapped"] + counts["superseded"] + counts["failed"] == counts["handed_out"]
