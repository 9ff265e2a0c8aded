"""The whole job under the users of `deploy/redis/users.acl`; a command taken away is missed by name."""

import hashlib
import re

import pytest

from queue_fixtures import *  # noqa: F403
from rotation_tool import REPOSITORY
from test_dashboard import Dashboard
from waiting import wait_until

ACL = REPOSITORY / "deploy/redis/users.acl"
PASSWORD = "a-password-of-the-tests"

def users() -> dict:
    """Name → its rules, with the tests' password in place of the word."""
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    found = {}
    for line in ACL.read_text().splitlines():
        _, name, rules = line.split(" ", 2)
        if name != "default":
            found[name] = re.sub(r"#\w+_SHA256", f"#{digest}", rules).split()
    return found


def commands(name) -> list:
    return [rule[1:] for rule in users()[name] if rule.startswith("+")]


@pytest.fixture
def acl(redis_server, queue):
    for name, rules in users().items():
        assert queue.redis.command("ACL", "SETUSER", name, "reset", *rules) == b"OK"
    queue.redis.command("ACL", "LOG", "RESET")
    return queue.redis


def url(queue, name) -> str:
    return queue.server.url().replace(":" + queue.server.password, f"{name}:{PASSWORD}", 1)


def as_user(queue, name) -> dict:
    return {"REDIS_URL": url(queue, name)}


def denied(redis) -> list:
    return [entry[7].decode() if isinstance(entry[7], bytes) else entry[7] for entry in redis.command("ACL", "LOG")]


def test_whole_job(acl, queue, queue_tool, table, database, kek_v2):
    database.execute("UPDATE llm_providers SET api_key_encrypted = 'no envelope' WHERE id = 7")
    application = database.connect("application")
    application.cursor().execute("SELECT FROM llm_providers WHERE id = 1500 FOR UPDATE")
    worker = queue_tool.start("worker", "--exit-when-done", **as_user(queue, "worker"))
    coordinator = queue_tool.start("coordinator", "--batch-size", 50, **as_user(queue, "coordinator"))
    queue.wait_until_done(1_900)
    for command in ("status", "pause", "resume", "failures"):
        queue_tool.command(command, **as_user(queue, "operator")).expect(0)
    application.rollback()
    coordinator.wait().expect(2)
    worker.wait().expect(2)
    dashboard = Dashboard(queue_tool, **as_user(queue, "dashboard"))
    assert 'reencrypt_job_state{state="incomplete"} 1' in dashboard.get("metrics")[1]
    assert "no envelope" in dashboard.get("failures")[1]
    assert denied(acl) == []


def test_the_dashboards_user_changes_nothing(acl, queue, queue_tool):
    refused = queue_tool.command("pause", **as_user(queue, "dashboard"))
    refused.expect_refusal("NOPERM")


def says_so(process) -> bool:
    """Redis has two ways to put it: for a command, and for one inside a script."""
    said = process.stderr_so_far()
    return "NOPERM" in said or "can't run this command" in said


@pytest.mark.parametrize(
    ("name", "command"),
    [("worker", "evalsha"), ("worker", "rpop"), ("worker", "hmget"), ("coordinator", "evalsha"), ("coordinator", "lpush")],
)
def test_a_command_taken_away_is_missed_by_name(acl, queue, queue_tool, table, name, command):
    acl.command("ACL", "SETUSER", name, "-" + command)
    worker = queue_tool.start("worker", **as_user(queue, "worker"))
    coordinator = queue_tool.start("coordinator", **as_user(queue, "coordinator"))
    process = worker if name == "worker" else coordinator
    wait_until(lambda: says_so(process), f"{name} misses {command}")
    assert command.upper() in [one.upper() for one in denied(acl)]
    worker.kill()
    coordinator.kill()


def test_the_file_has_what_scripts_call_and_no_more():
    """The rare ones too: by the scripts' text."""
    folder = REPOSITORY / "Sources/BatchQueue/Redis/Scripts"
    called = set()
    for script in folder.glob("*.lua"):
        called |= {name.lower() for name in re.findall(r"redis\.p?call\('([A-Z]+)'", script.read_text())}
    direct = {"auth", "select", "role", "client|setname", "info", "eval", "evalsha", "multi", "exec", "time", "hgetall",
              "hscan", "zrange", "xrevrange", "lrange"}  # fmt: skip
    for name in users():
        assert set(commands(name)) <= called | direct, f"{name} has more than is called"
    assert called <= set().union(*(commands(name) for name in users()))
