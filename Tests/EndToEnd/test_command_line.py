"""Commands, options and the exit codes of misuse."""

import pytest

from support.secrets_table import SecretsTable


@pytest.fixture
def table(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(20))
    tool.write_catalog(table)
    return table


# MARK: help


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "--help"], ["run", "-h"]], ids=" ".join)
def test_help_needs_no_settings_and_no_database(tool, arguments):
    """Needs no settings and no database."""
    outcome = tool.command(*arguments, environment={"PATH": "/usr/bin:/bin"}).expect(0)
    assert "USAGE" in outcome.stdout.upper()
    assert outcome.stderr == ""


def test_help_shows_defaults_as_they_are_typed(tool):
    assert "(default: 127.0.0.1:8080)" in tool.command("dashboard", "--help").expect(0).stdout


def test_help_names_the_commands_and_options(tool):
    commands = tool.command("--help").expect(0).stdout
    for command in ("run", "keygen", "catalog"):
        assert command in commands
    options = tool.command("run", "--help").expect(0).stdout
    for option in ("--dry-run", "--batch-size", "--table", "--catalog", "--concurrency", "--mode", "--report",
                   "--verbose", "--allow-unknown-keys", "--expect-check-value", "--log-format", "--log-level"):  # fmt: skip
        assert option in options


def test_version_prints_a_number(tool):
    outcome = tool.command("--version").expect(0)
    assert any(character.isdigit() for character in outcome.stdout)


# MARK: usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--no-such-option"],
        ["--no-such-option"],
        ["run", "surplus"],
        ["run", "--batch-size"],
        ["run", "--batch-size", "0"],
        ["run", "--batch-size", "-5"],
        ["run", "--batch-size", "many"],
        ["run", "--batch-size", "99999999999999999999"],
        ["run", "--concurrency", "0"],
        ["run", "--mode", "rotate"],
        ["run", "--log-format", "xml"],
        ["run", "--log-level", "loud"],
        ["run", "--expect-check-value", "kek-v2"],
        ["run", "--expect-check-value", "kek-v2:nothex"],
        ["catalog", "no-such-command"],
        ["keygen", "--length", "16"],
    ],
    ids=" ".join,
)
def test_misuse_ends_with_64_and_changes_nothing(tool, table, arguments):
    before = table.versions()
    outcome = tool.command(*arguments, environment=tool.environment(REENCRYPT_CATALOG=str(tool.catalog))).expect(64)
    assert outcome.stdout == ""
    assert outcome.stderr != ""
    assert table.versions() == before


@pytest.mark.parametrize("option", ["--table", "-t"])
def test_an_unknown_table_lists_the_known_ones(database, tool, table, option):
    other = SecretsTable(database, name="webhooks").create()
    tool.write_catalog(table, other)
    tool.run(option, "llm_provider").expect_refusal("llm_provider", "llm_providers", "webhooks", exit_codes=(64,))
    assert table.key_ids() == {"kek-v1": 20}


# MARK: the ways to say it


def test_run_is_the_default(tool, table, kek_v2):
    dry = tool.command("--dry-run", "--catalog", tool.catalog).expect(0)
    assert "DRY RUN: Would re-encrypt 20 of 20 records" in dry.messages
    tool.command("--catalog", tool.catalog).expect(0)
    table.assert_opens_with(kek_v2)


def test_the_catalog_of_the_working_directory(tool, table, kek_v2):
    tool.catalog.rename(tool.directory / "encrypted-tables.yaml")
    tool.command("run").expect(0)
    table.assert_opens_with(kek_v2)


def test_the_catalog_of_the_environment(tool, table, kek_v2):
    """The option outranks the variable, the variable the working directory."""
    (tool.directory / "encrypted-tables.yaml").write_text("tables: [")
    environment = tool.environment(REENCRYPT_CATALOG=str(tool.catalog))
    tool.command("run", environment=environment).expect(0)
    table.assert_opens_with(kek_v2)
    environment = tool.environment(REENCRYPT_CATALOG=str(tool.directory / "nowhere.yaml"))
    tool.command("run", environment=environment).expect(1)
    tool.command("run", "--catalog", tool.catalog, environment=environment).expect(0)


@pytest.mark.parametrize("option", ["--table", "-t"])
def test_one_table_only(database, tool, table, kek_v1, kek_v2, option):
    other = SecretsTable(database, name="webhooks").create().fill(kek_v1, range(30))
    odd = SecretsTable(database, name='odd "one"', schema="public").create().fill(kek_v1, range(5))
    tool.write_catalog(table, other, odd)
    outcome = tool.run(option, "webhooks").expect(0)
    other.assert_opens_with(kek_v2)
    table.assert_opens_with(kek_v1)
    assert "Re-encrypted 30 of 30 records" in outcome.messages
    tool.run(option, odd.catalog_name).expect(0)
    odd.assert_opens_with(kek_v2)


def test_two_tables_of_three(database, tool, table, kek_v1, kek_v2):
    """--table may be given more than once, or the second use is refused; it is never dropped silently."""
    others = [SecretsTable(database, name=name).create().fill(kek_v1, range(5)) for name in ("second", "third")]
    tool.write_catalog(table, *others)
    outcome = tool.run("--table", "second", "--table", "third").expect(0, 64)
    if outcome.exit_code == 0:
        for other in others:
            other.assert_opens_with(kek_v2)
    table.assert_opens_with(kek_v1)


@pytest.mark.parametrize("arguments", [["-b", "3"], ["--batch-size", "1"], ["-b", "100000"], ["--concurrency", "8"], []])
def test_batch_sizes_and_lanes(database, tool, kek_v1, kek_v2, arguments):
    """Any of them does every row once; without a size the tool finds its own."""
    table = SecretsTable(database).create().fill(kek_v1, range(700))
    tool.write_catalog(table)
    outcome = tool.run(*arguments).expect(0)
    table.assert_opens_with(kek_v2)
    assert outcome.report["records"]["rewrapped"] == 700


def test_a_report_that_cannot_be_written_is_refused_at_the_start(tool, table):
    """Found out after an hour's work, it would be too late."""
    outcome = tool.command("run", "--catalog", tool.catalog, "--report", tool.directory / "nowhere" / "report.json")
    outcome.expect(1, 64)
    assert table.key_ids() == {"kek-v1": 20}
