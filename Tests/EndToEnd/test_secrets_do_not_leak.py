"""No key, DEK or plaintext in standard output, standard error, the report or the command line, whatever goes wrong;
and no core dump that would hold them."""

import base64
import os
import pathlib
import pwd
import re
import socket

import pytest

from envelope_reference import KeyEncryptionKey, seal, unwrap
from support.rotation_tool import binary_path
from support.secrets_table import SecretsTable

MARKER = b"PLAINTEXT-MARKER-b9f1"
ROWS = 300
# A window of a key that turns up in the output is a leak even where the whole does not.
WINDOW = 10


def spellings(secret: bytes) -> set:
    """The ways in which bytes get into text."""
    standard = base64.b64encode(secret).decode()
    url = base64.urlsafe_b64encode(secret).decode()
    whole = {standard, standard.rstrip("="), url.rstrip("="), secret.hex(), secret.hex().upper()}
    parts = set()
    for text in whole:
        parts |= {text[start : start + WINDOW] for start in range(0, len(text) - WINDOW + 1)}
    # Decimal bytes, as a debugger or a description of an array writes them.
    parts.add(", ".join(str(byte) for byte in secret[:6]))
    return parts


def everything_said(outcome) -> bytes:
    said = outcome.stdout.encode() + outcome.stderr.encode() + b"".join(outcome.command_lines)
    if outcome.report_path is not None and outcome.report_path.exists():
        said += outcome.report_path.read_bytes()
    return said


def assert_nothing_leaked(outcome, secrets):
    said = everything_said(outcome)
    text = said.decode(errors="replace")
    assert outcome.command_lines, "the command line was never read"
    for secret in secrets:
        assert secret not in said, "raw secret bytes in the output"
        for part in spellings(secret):
            assert part not in text, f"a part of a secret in the output: {part!r}"
    assert MARKER not in said and base64.b64encode(MARKER)[:16] not in said and MARKER.hex().encode() not in said


@pytest.fixture
def damaged_table(database, kek_v1):
    """Good rows, and every kind of failure; one failing row's neighbour column holds a plaintext left behind."""
    database.execute(
        """
        CREATE TABLE llm_providers (
            id bigint PRIMARY KEY, name text, api_key_encrypted text, legacy_plaintext text,
            CONSTRAINT no_refused_row CHECK (name IS DISTINCT FROM 'refused') NOT VALID);
        CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.name = 'shouts' THEN RAISE EXCEPTION 'no such update'
                USING DETAIL = OLD.legacy_plaintext, HINT = OLD.legacy_plaintext; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER intruder BEFORE UPDATE ON llm_providers FOR EACH ROW EXECUTE FUNCTION intrude();
        """
    )
    table = SecretsTable(database, column_type="text")
    table.fill(kek_v1, range(ROWS), lambda number: MARKER + b"-%d" % number)
    good = seal(kek_v1, MARKER)
    broken = MARKER.decode()
    table.insert(
        [
            (1000, broken),
            (1001, '{"plaintext":"%s"}' % broken),
            (1002, good.text[:100]),
            (1003, good.text.replace('"version":1', f'"version":"{broken}"')),
            (1004, good.text.replace('"kek-v1"', f'"{broken} {broken}"')),
            (1005, good.text.replace('"AES-256-GCM"', f'"{broken}"')),
            (1006, good.text[:-20] + "AAAA" + good.text[-16:]),
        ]
    )
    position = good.spans["dek_wrapped"][0] + 30
    flipped = "B" if good.text[position] == "A" else "A"
    table.insert([(1007, good.text[:position] + flipped + good.text[position + 1 :])])
    table.insert([(1008, good), (1009, good)])
    with database.transaction() as cursor:
        cursor.execute("SET session_replication_role = replica")
        # The server's own message quotes the whole failing row in its DETAIL.
        cursor.execute("ALTER TABLE llm_providers DROP CONSTRAINT no_refused_row")
        cursor.execute("UPDATE llm_providers SET legacy_plaintext = %s WHERE id >= 1000", (broken,))
        cursor.execute("UPDATE llm_providers SET name = 'refused' WHERE id = 1008")
        cursor.execute("UPDATE llm_providers SET name = 'shouts' WHERE id = 1009")
        cursor.execute(
            "ALTER TABLE llm_providers ADD CONSTRAINT no_refused_row "
            "CHECK (name IS DISTINCT FROM 'refused') NOT VALID"
        )
    return table


def secrets_of(table, *keks):
    """Everything that must stay inside: the KEKs, and the DEKs before and after."""
    secrets = {kek.key for kek in keks} | {sealed.dek for sealed in table.sealed.values()}
    for value in table.stored().values():
        try:
            secrets.add(unwrap(value, *keks))
        except ValueError:
            continue
    return secrets


@pytest.mark.parametrize("log_level", ["debug", "trace"])
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("mode", ["rewrap", "reencrypt"])
def test_a_full_run_with_failures(database, tool, damaged_table, kek_v1, kek_v2, mode, log_format, log_level):
    tool.write_catalog(damaged_table)
    outcome = tool.run("--mode", mode, "--log-level", log_level, "--log-format", log_format, "--batch-size", 50)
    outcome.expect(2)
    assert len(outcome.report["failures"]) >= 9
    assert_nothing_leaked(outcome, secrets_of(damaged_table, kek_v1, kek_v2))
    assert database.server.password not in everything_said(outcome).decode(errors="replace")


def test_a_servers_message_that_quotes_a_plaintext(database, tool, kek_v1, kek_v2):
    """A trigger's own exception, which the tool cannot know to be harmless: SQLSTATE and names are enough to say."""
    table = SecretsTable(database, column_type="text").create().fill(kek_v1, range(10))
    database.execute(
        f"""
        UPDATE llm_providers SET name = '{MARKER.decode()}' WHERE id = 3;
        CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF OLD.id = 3 THEN RAISE EXCEPTION 'cannot bill %', OLD.name; END IF; RETURN NEW; END $$;
        CREATE TRIGGER intruder BEFORE UPDATE ON llm_providers FOR EACH ROW EXECUTE FUNCTION intrude();
        """
    )
    tool.write_catalog(table)
    outcome = tool.run("--log-level", "trace").expect(2)
    assert MARKER not in everything_said(outcome)


def test_a_verbose_dry_run(database, tool, damaged_table, kek_v1, kek_v2):
    tool.write_catalog(damaged_table)
    outcome = tool.run("--dry-run", "--verbose", "--log-level", "trace").expect(2)
    assert_nothing_leaked(outcome, secrets_of(damaged_table, kek_v1, kek_v2))


def test_the_password_of_the_database(database, make_tool, damaged_table):
    """In the address, in libpq's errors, in a refused connection."""
    url = database.url.replace("127.0.0.1", "localhost.invalid")
    tool = make_tool(url)
    tool.write_catalog(damaged_table)
    outcome = tool.run("--log-level", "trace").expect(1)
    assert database.server.password not in everything_said(outcome).decode(errors="replace")


def malformed_settings(key: bytes) -> dict:
    """Settings that break a rule, all of them made of a real key."""
    encoded = base64.b64encode(key).decode()
    return {
        "no key id": encoded,
        "empty key id": f":{encoded}",
        "malformed key id": f"kek v1:{encoded}",
        "key id too long": f"{'k' * 65}:{encoded}",
        "key and id exchanged": f"{encoded}:kek-v1",
        "31 bytes": f"kek-v1:{base64.b64encode(key[:31]).decode()}",
        "33 bytes": f"kek-v1:{base64.b64encode(key + b'x').decode()}",
        "hexadecimal": f"kek-v1:{key.hex()}",
        "without padding": f"kek-v1:{encoded.rstrip('=')}",
        "a stray character": f"kek-v1:{encoded[:20]}!{encoded[20:]}",
        "url alphabet": "kek-v1:" + base64.urlsafe_b64encode(b"\xfb\xef\xff" + key[:29]).decode(),
        "semicolon list": f"kek-v1:{encoded};kek-v0:{encoded}",
        "twice in one": f"kek-v1:{encoded} kek-v0:{encoded}",
        "quoted": f"'kek-v1:{encoded}'",
    }


@pytest.mark.parametrize("variable", ["SECRETS_ENCRYPTION_KEY", "SECRETS_ENCRYPTION_KEY_PREVIOUS"])
@pytest.mark.parametrize("label", malformed_settings(b"\0" * 32))
def test_a_malformed_key_is_never_echoed(tool, damaged_table, variable, label):
    key = os.urandom(32)
    tool.write_catalog(damaged_table)
    setting = malformed_settings(key)[label]
    outcome = tool.run("--log-level", "trace", environment=tool.environment(**{variable: setting}))
    outcome.expect(1)
    place = "previous" if variable.endswith("PREVIOUS") else "primary"
    assert variable in outcome.stderr or place in outcome.stderr, f"does not say which setting\n{outcome}"
    assert_nothing_leaked(outcome, [key, key[:31], b"\xfb\xef\xff" + key[:29]])


def test_a_malformed_key_in_a_file_is_never_echoed(tool, damaged_table):
    key = os.urandom(32)
    tool.write_catalog(damaged_table)
    for label, setting in malformed_settings(key).items():
        path = tool.directory / "key-file"
        path.write_text(setting + "\n")
        environment = tool.environment(SECRETS_ENCRYPTION_KEY=None, SECRETS_ENCRYPTION_KEY_FILE=str(path))
        outcome = tool.run("--log-level", "trace", environment=environment).expect(1)
        assert_nothing_leaked(outcome, [key, key[:31], b"\xfb\xef\xff" + key[:29]])


def test_a_key_as_an_argument_is_not_repeated(tool):
    """Keys never come by argument; one given by mistake must not end up in a log as well."""
    kek = KeyEncryptionKey.generate("kek-v7")
    outcome = tool.command("run", f"--primary-key={kek.setting}").expect(64)
    for part in spellings(kek.key):
        assert part not in outcome.output


# MARK: the process itself


@pytest.fixture
def waiting_process(tool, table_catalog):
    """A started tool that waits for a server which never answers, as an unprivileged user."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
        # The test's folder is the caller's alone, so the unprivileged process works elsewhere.
        process = tool.start_command(
            "run", "--catalog", table_catalog, environment=tool.environment(DATABASE_URL=url, HOME="/"), user=user
        )
        silent.settimeout(20)
        connection, _ = silent.accept()
        yield process
        connection.close()
        process.kill()


@pytest.fixture
def table_catalog(tool):
    for folder in [tool.directory, *tool.directory.parents]:
        if os.stat(folder).st_uid == os.geteuid() and not os.stat(folder).st_mode & 0o001:
            os.chmod(folder, os.stat(folder).st_mode | 0o055)
    tool.write_catalog({"name": "llm_providers", "id_column": "id", "encrypted_columns": ["api_key_encrypted"]})
    return tool.catalog


def test_no_core_dump_and_no_tracing(waiting_process):
    """PR_SET_DUMPABLE 0 gives the process's /proc files to root: other processes of the user cannot read its memory."""
    folder = pathlib.Path(f"/proc/{waiting_process.pid}")
    status = (folder / "status").read_text()
    uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M).group(1))
    assert uid != 0, "the process is root's, so ownership shows nothing: the user `nobody` is needed"
    assert os.stat(folder / "environ").st_uid == 0, "the process is dumpable"
    limit = re.search(r"^Max core file size\s+(\S+)\s+(\S+)", (folder / "limits").read_text(), re.M)
    assert limit.groups() == ("0", "0"), f"the core limit is {limit.groups()}"


def test_no_key_in_the_command_line(waiting_process, kek_v1, kek_v2):
    command_line = pathlib.Path(f"/proc/{waiting_process.pid}/cmdline").read_bytes().decode()
    assert command_line.startswith(str(binary_path()))
    for kek in (kek_v1, kek_v2):
        for part in spellings(kek.key):
            assert part not in command_line
