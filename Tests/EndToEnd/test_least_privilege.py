"""The whole job under the roles of `deploy/sql/roles.sql`; each right taken away breaks what `docs/security.md` says."""

import re

import pytest

from support.rotation_tool import REPOSITORY
from test_verify_on_standbys import standby  # noqa: F401

ROLES = REPOSITORY / "deploy/sql/roles.sql"
GROUPS = ("reencrypt_worker", "reencrypt_coordinator", "reencrypt_verifier", "reencrypt_fence")
CALLS = {
    "llm_providers": ("{id}", "{api_key_encrypted}"),
    "tenant_webhooks": ("{tenant_id,id}", "{signing_secret_encrypted}"),
    "oauth_tokens": ("{id}", "{token_encrypted}"),
    "billing.payment_accounts": ("{id}", "{iban_encrypted,card_token_encrypted}"),
}


def roles_script() -> str:
    """The file, with one call a table of these tests in place of the example's."""
    head, found, tail = re.split(r"(^SELECT pg_temp\.allow_rotation\(.*?\);$)", ROLES.read_text(), flags=re.M)
    assert found, "the file has lost its example call"
    calls = (
        f"SELECT pg_temp.allow_rotation('{table}', ids => '{ids}', encrypted => '{encrypted}');"
        for table, (ids, encrypted) in CALLS.items()
    )
    return head + "\n".join(calls) + tail


class Logins:
    """One login a group role, and a queue tool that uses it."""

    def __init__(self, database, queue_tool, make_queue_tool):
        self._database = database
        self._catalog = queue_tool.tool.catalog.read_text()
        self._make = make_queue_tool
        self._names = {}

    def create(self, group) -> str:
        name = self._database.create_role(group.removeprefix("reencrypt_"), f"IN ROLE {group}")
        self._names[group] = name
        return name

    def tool(self, command):
        """`command`: worker, coordinator, verifier or fence."""
        tool = self._make(self._database.url_as(self._names[f"reencrypt_{command}"]))
        tool.tool.catalog.write_text(self._catalog)
        return tool


@pytest.fixture
def logins(database, tables, queue_tool, make_queue_tool):
    """The roles as the file makes them; the tables belong to somebody else."""
    owner = database.create_role("owner")
    for table in (*CALLS, "tenant_webhooks_0", "tenant_webhooks_1"):
        database.execute(f"ALTER TABLE {table} OWNER TO {owner}")
    database.execute(f"GRANT USAGE ON SCHEMA billing TO {owner}")
    database.execute(f"GRANT CREATE ON SCHEMA public, billing TO {owner}")
    try:
        database.execute(roles_script().replace("BEGIN;\n", "", 1).rsplit("COMMIT;", 1)[0])
        database.execute(f"GRANT {owner} TO reencrypt_fence")
        logins = Logins(database, queue_tool, make_queue_tool)
        for group in GROUPS:
            logins.create(group)
        yield logins
    finally:
        for group in GROUPS:
            database.execute(
                f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{group}') "
                f"THEN EXECUTE 'DROP OWNED BY {group}'; EXECUTE 'DROP ROLE {group}'; END IF; END $$"
            )
        database.execute(f"REASSIGN OWNED BY {owner} TO current_user; DROP OWNED BY {owner}")


def test_whole_job_with_fence_and_verdict(logins, queue, tables, kek_v2):
    worker = logins.tool("worker").worker("--exit-when-done")
    logins.tool("coordinator").coordinator().wait().expect(0)
    worker.wait().expect(0)
    fence = logins.tool("fence").tool
    fence.command("fence", "add", "--retired", "kek-v1", "--catalog", fence.catalog).expect(0)
    verifier = logins.tool("verifier").tool
    verifier.command("verify", "--catalog", verifier.catalog).expect(0)
    tables.assert_opens_with(kek_v2)


def test_one_process_as_the_worker(logins, tables, kek_v2):
    tool = logins.tool("worker").tool
    tool.command("run", "--catalog", tool.catalog).expect(0)
    tables.assert_opens_with(kek_v2)


# What is taken away, who notices, its exit code, and what it says. docs/security.md lists the same.
TAKEN_AWAY = {
    "worker SELECT of the value": (
        "REVOKE SELECT (api_key_encrypted) ON llm_providers FROM reencrypt_worker",
        "worker", 1, "lacks SELECT on (api_key_encrypted)"),
    "worker SELECT of the id": (
        "REVOKE SELECT (id) ON oauth_tokens FROM reencrypt_worker", "worker", 1, "lacks SELECT on (id)"),
    "worker SELECT of ctid": (
        "REVOKE SELECT (ctid) ON oauth_tokens FROM reencrypt_worker", "worker", 1, "lacks SELECT on (ctid)"),
    "worker UPDATE": (
        "REVOKE UPDATE (iban_encrypted) ON billing.payment_accounts FROM reencrypt_worker",
        "worker", 1, "lacks UPDATE on (iban_encrypted)"),
    "worker UPDATE of a partition": (
        "REVOKE UPDATE (signing_secret_encrypted) ON tenant_webhooks_1 FROM reencrypt_worker",
        "worker", 1, "tenant_webhooks_1"),
    "worker USAGE": (
        "REVOKE USAGE ON SCHEMA billing FROM reencrypt_worker", "worker", 1, "lacks USAGE on the schema \"billing\""),
    "coordinator reencrypt_worker, membership": (
        "REVOKE reencrypt_worker FROM reencrypt_coordinator", "coordinator", 1, "lacks"),
    "coordinator pg_read_all_stats": (
        "REVOKE pg_read_all_stats FROM reencrypt_coordinator",
        "coordinator", 1, "--max-horizon-age: this role may not see other sessions"),
    "verifier pg_read_all_data": (
        "REVOKE pg_read_all_data FROM reencrypt_verifier", "verifier", 1, "lacks SELECT on (id, api_key_encrypted, ctid)"),
    "verifier pg_read_all_data, SELECT on the tables in its place": (
        "REVOKE pg_read_all_data FROM reencrypt_verifier; GRANT USAGE ON SCHEMA billing TO reencrypt_verifier; "
        "GRANT SELECT ON llm_providers, tenant_webhooks_0, tenant_webhooks_1, oauth_tokens, billing.payment_accounts "
        "TO reencrypt_verifier", "verifier", 2, "public.audit (note) could not be looked at"),
    "verifier pg_read_all_stats": (
        "REVOKE pg_read_all_stats FROM reencrypt_verifier", "verifier", 2, "standbys hide their position from this role"),
    "fence membership in the tables' owner, SELECT in its place": (
        "REVOKE {owner} FROM reencrypt_fence; GRANT reencrypt_verifier TO reencrypt_fence",
        "fence", 1, "must be owner"),
    "fence membership in the tables' owner": (
        "REVOKE {owner} FROM reencrypt_fence", "fence", 1, "lacks SELECT"),
}  # fmt: skip
COMMANDS = {
    "worker": ("run",),
    "coordinator": ("coordinator", "--max-horizon-age", "1h"),
    "verifier": ("verify", "--depth", "keys"),
    "fence": ("fence", "add", "--retired", "kek-v1"),
}


@pytest.mark.parametrize("name", TAKEN_AWAY)
def test_each_right_is_needed(logins, database, queue_tool, request, name):
    if name == "verifier pg_read_all_stats":
        request.getfixturevalue("standby")
    statement, command, exit_code, said = TAKEN_AWAY[name]
    if command in ("verifier", "fence"):
        # What they judge has to be in order but for the right.
        queue_tool.tool.command("run", "--catalog", queue_tool.tool.catalog).expect(0)
    database.execute("CREATE TABLE audit (id bigint PRIMARY KEY, note text)")
    database.execute("REVOKE ALL ON audit FROM PUBLIC")
    database.execute(statement.format(owner=f"{database.name}_owner"))
    tool = logins.tool(command)
    process = tool.tool.start_command(
        *COMMANDS[command], "--catalog", tool.tool.catalog, environment=tool.environment()
    )
    process.wait().expect_refusal(said, exit_codes=(exit_code,))


def granted() -> set:
    """(role, right) by the file's statements."""
    script = re.sub(r"--.*", "", ROLES.read_text())
    found = set()
    for right, roles in re.findall(r"\bGRANT (\w+)[^;']*? TO (reencrypt_[\w, ]+)", script):
        found |= {(role.strip().removeprefix("reencrypt_"), right) for role in roles.split(",")}
    return found


def test_each_right_of_the_file_has_been_taken_away():
    taken = {tuple(re.match(r"(\w+) (\w+)", name).groups()) for name in TAKEN_AWAY}
    # Of the tables' owner the file speaks in a comment: it does not know its name.
    assert taken == granted() | {("fence", "membership")}


def test_the_document_says_what_breaks_without_each():
    text = (REPOSITORY / "docs/security.md").read_text(encoding="utf-8")
    table = text.split("### Rights of the database roles")[1].split("\n##")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines() if line[:1] == "|"]
    wanted = []
    for name, (_, command, exit_code, said) in TAKEN_AWAY.items():
        role, right = name.split(" ", 1)
        wanted.append((f"`{role}`", right, f"`{' '.join(COMMANDS[command])}`", str(exit_code), f"`{said}`"))
    assert rows[2:] == wanted
