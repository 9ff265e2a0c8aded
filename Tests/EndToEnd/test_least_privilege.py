"""The whole job under the roles of `deploy/sql/roles.sql`; each right taken away breaks what `docs/security.md` says."""

import re

import pytest

from queue_fixtures import *  # noqa: F403
from rotation_tool import REPOSITORY

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
    "coordinator membership": (
        "REVOKE reencrypt_worker FROM reencrypt_coordinator", "coordinator", 1, "lacks"),
    "verifier SELECT": (
        "REVOKE SELECT (api_key_encrypted) ON llm_providers FROM reencrypt_verifier; "
        "REVOKE pg_read_all_data FROM reencrypt_verifier", "verifier", 1, "lacks SELECT on (api_key_encrypted)"),
    "verifier pg_read_all_data": (
        "REVOKE pg_read_all_data FROM reencrypt_verifier", "verifier", 2, "public.audit (note) could not be looked at"),
    "fence ownership": (
        "REVOKE {owner} FROM reencrypt_fence; GRANT reencrypt_verifier TO reencrypt_fence",
        "fence", 1, "must be owner"),
    "fence SELECT": (
        "REVOKE {owner} FROM reencrypt_fence", "fence", 1, "lacks SELECT"),
}  # fmt: skip
COMMANDS = {
    "worker": ("run",),
    "coordinator": ("coordinator",),
    "verifier": ("verify", "--depth", "keys"),
    "fence": ("fence", "add", "--retired", "kek-v1"),
}


@pytest.mark.parametrize("name", TAKEN_AWAY)
def test_each_right_is_needed(logins, database, queue_tool, name):
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
