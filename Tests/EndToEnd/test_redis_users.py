"""The whole job under the users of `deploy/redis/users.acl`; each command taken away is missed by name.

What scripts call is read from their text, since some of it happens once in a blue moon; what processes call beside them is
taken away from running ones.
"""

import hashlib
import os
import re
import signal
import socket
import subprocess
import urllib.request

import pytest

from private_redis import free_loopback_port, redis_server_binary
from support.rotation_tool import REPOSITORY
from support.waiting import wait_until
from test_dashboard import Dashboard

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


def set_user(redis, name, without=None):
    """As the file has it, but for a command. Redis 6.2 knows no `-command|subcommand`, so it is left out."""
    rules = (rule for rule in users()[name] if rule != f"+{without}")
    assert redis.command("ACL", "SETUSER", name, "reset", *rules) == b"OK"


@pytest.fixture
def acl(redis_server, queue):
    for name in users():
        set_user(queue.redis, name)
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


# MARK: each command, one at a time

SCRIPTS = REPOSITORY / "Sources/BatchQueue/Redis/Scripts"
CALLED = re.compile(r"redis\.p?call\('([A-Z]+)'")

# Which transitions each user's process runs.
TRANSITIONS = {
    "worker": {"claim", "heartbeat", "acknowledge", "hand_back", "split", "bury", "retire_worker"},
    "coordinator": {"lead", "begin_job", "begin_sweep", "enqueue", "tick", "pace", "census", "finish_job"},
    "operator": {"control", "retry_failures"},
    "dashboard": set(),
}
# Where the code names them: a user gets no other.
NAMED_IN = {
    "worker": ("RedisWorkerQueue.swift", "WorkerScript.swift"),
    "coordinator": ("RedisCoordinatorQueue.swift",),
    "operator": ("QueueMonitor.swift",),
}
# A snapshot is asked for by the coordinator, which watches itself so, and by tests.
BY_OTHERS_ALONE = {"operator": {"tick"}}

DIALLING = {
    "select": "a database other than 0 in `REDIS_URL`",
    "role": "an address by Sentinel",
    "client|setname": "nothing; the connection has no name in `CLIENT LIST`",
}
RUNNING_SCRIPTS = {"evalsha": "every script", "eval": "the first call of each script"}
WAITING = {
    "info": "the start: version and memory policy are looked at",
    "multi": "waiting for a job, watching it",
    "exec": "waiting for a job, watching it",
    "hmget": "waiting for a job, watching it",
}
VIEWING = {
    "time": "the age of workers",
    "hgetall": "all counters",
    "zrange": "the list of workers",
    "hscan": "the list of failed records",
    "lrange": "history and the rate's chart",
    "xrevrange": "the last events",
}
# What a process calls outside scripts, and what does not work without it.
DIRECT = {
    "worker": DIALLING | RUNNING_SCRIPTS | WAITING,
    "coordinator": DIALLING | RUNNING_SCRIPTS | WAITING | {"hgetall": "the end: rows by partition, for `--vacuum`"},
    "operator": DIALLING | RUNNING_SCRIPTS | VIEWING,
    "dashboard": DIALLING | VIEWING,
}


def functions_of_the_prelude() -> dict:
    """Name → its text."""
    parts = re.split(r"^local function (\w+)", (SCRIPTS / "prelude.lua").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def called_by(script) -> set:
    """Every command that a script calls, itself or by the functions in front of it."""
    functions = functions_of_the_prelude()
    called, reached = set(), set()
    texts = [(SCRIPTS / f"{script}.lua").read_text()]
    while texts:
        text = re.sub(r"--.*", "", texts.pop())
        called |= {name.lower() for name in CALLED.findall(text)}
        for name in set(re.findall(r"\b(\w+)\(", text)) & set(functions) - reached:
            reached.add(name)
            texts.append(functions[name])
    return called


def what_breaks(user) -> dict:
    """Command → what does not work without it: transitions, or what else the process does."""
    transitions = TRANSITIONS[user]
    broken = dict(DIRECT[user])
    callers = {}
    for script in sorted(transitions):
        for command in called_by(script):
            callers.setdefault(command, []).append(script)
    for command, scripts in callers.items():
        words = "every script" if set(scripts) == transitions else ", ".join(f"`{script}`" for script in scripts)
        broken[command] = "; ".join(filter(None, [words, DIRECT[user].get(command)]))
    return broken


def test_each_transition_is_somebodys():
    assert set.union(*TRANSITIONS.values()) == {script.stem for script in SCRIPTS.glob("*.lua")} - {"prelude"}
    for user, files in NAMED_IN.items():
        text = "".join((SCRIPTS.parent / file).read_text() for file in files)
        named = re.findall(r"QueueScripts\.(\w+)", text)
        named = {re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name) for name in named}
        assert named == TRANSITIONS[user] | BY_OTHERS_ALONE.get(user, set()), files
    for folder in ("reencrypt-secrets", "Dashboard"):
        for source in (REPOSITORY / "Sources" / folder).rglob("*.swift"):
            if source.name != "Coordination.swift":
                assert "monitor.snapshot(" not in source.read_text(), f"{source} runs `tick` as the operator"


@pytest.mark.parametrize("user", TRANSITIONS)
def test_the_file_has_what_the_user_calls_and_no_more(user):
    listed = commands(user)
    assert len(listed) == len(set(listed)), f"{user} has a command twice"
    assert set(listed) == set(what_breaks(user))


def test_the_document_says_what_breaks_without_each():
    text = (REPOSITORY / "docs/security.md").read_text(encoding="utf-8")
    table = text.split("### Commands of the Redis users")[1].split("\n##")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.replace("\\|", "\0").splitlines()
            if line.startswith("|")]  # fmt: skip
    users_of_the_table = rows[0][1:]
    said = {user: {} for user in users_of_the_table}
    for row in rows[2:]:
        for user, cell in zip(users_of_the_table, row[1:]):
            if cell:
                said[user][row[0].strip("`").replace("\0", "|")] = cell
    assert said == {user: what_breaks(user) for user in TRANSITIONS}


def says_so(process) -> bool:
    """Redis has two ways to put it: for a command, and for one inside a script."""
    said = process.stderr_so_far()
    return "NOPERM" in said or "can't run this command" in said


PROCESSES = {"worker": ("worker",), "coordinator": ("coordinator",), "operator": ("status", "pause", "failures")}
DIRECT_RUNS = [
    *((user, command) for user in ("worker", "coordinator") for command in (*RUNNING_SCRIPTS, *WAITING)),
    *(("operator", command) for command in (*RUNNING_SCRIPTS, "time", "hgetall", "zrange", "hscan")),
    ("worker", "rpop"), ("coordinator", "lpush"), ("coordinator", "hgetall"), ("operator", "hset"),
]  # fmt: skip


@pytest.mark.parametrize(("user", "command"), DIRECT_RUNS)
def test_a_command_taken_away_is_missed_by_name(acl, queue, queue_tool, table, user, command):
    set_user(acl, user, without=command)
    worker = queue_tool.start("worker", **as_user(queue, "worker"))
    coordinator = queue_tool.start("coordinator", **as_user(queue, "coordinator"))
    if user == "operator":
        queue.wait_for_state("draining", "verifying", "complete")
        started = [queue_tool.start(one, catalog=False, **as_user(queue, user)) for one in PROCESSES[user]]
    else:
        started = [worker if user == "worker" else coordinator]
    wait_until(lambda: any(map(says_so, started)), f"{user} misses {command}")
    assert command in [one.lower() for one in denied(acl)]
    worker.kill()
    coordinator.kill()


@pytest.mark.parametrize("user", ["operator", "dashboard"])
@pytest.mark.parametrize("command", VIEWING)
def test_a_page_without_one_of_its_commands(acl, queue, queue_tool, table, user, command):
    set_user(acl, user, without=command)
    dashboard = Dashboard(queue_tool, **as_user(queue, user))
    if command == "hscan":
        assert dashboard.get("failures")[0] == 503
    else:
        with urllib.request.urlopen(dashboard.url + "events", timeout=20) as stream:
            wait_until(lambda: stream.readline().strip() == b"event: away", "the page says that it sees nothing")
    assert command in [one.lower() for one in denied(acl)]


@pytest.mark.parametrize("user", TRANSITIONS)
def test_dialling(acl, queue, queue_tool, redis_server, table, tmp_path, user):
    """Another database, a name for the connection, an address by Sentinel: with the right and without."""
    command = user if user in ("worker", "coordinator") else "status"
    sentinel = Sentinel(tmp_path, redis_server)
    addresses = {
        "select": url(queue, user).removesuffix("/0") + "/1",
        "role": f"redis+sentinel://{user}:{PASSWORD}@127.0.0.1:{sentinel.port}/mymaster/0",
    }
    try:
        for right, address in addresses.items():
            for without in (None, right):
                acl.command("ACL", "LOG", "RESET")
                set_user(acl, user, without)
                process = queue_tool.start(command, catalog=command != "status", REDIS_URL=address)
                if without:
                    wait_until(lambda process=process: says_so(process), f"{user} misses {right}")
                    assert right in denied(acl)
                else:
                    wait_until(lambda process=process: has_got_through(process, acl, user), f"{user} with {right}")
                    assert denied(acl) == []
                process.kill()
    finally:
        sentinel.stop()


@pytest.mark.parametrize("user", TRANSITIONS)
def test_the_connections_name(acl, queue, queue_tool, table, user):
    """What is lost without `CLIENT SETNAME` is the name alone."""
    for without in (None, "client|setname"):
        set_user(acl, user, without)
        if user in ("worker", "coordinator"):
            process = queue_tool.start(user, **as_user(queue, user))
        else:
            process = Dashboard(queue_tool, **as_user(queue, user))
            # It reads Redis only while somebody looks.
            assert "reencrypt_redis_up 1" in process.get("metrics")[1]
        [line, *_] = wait_until(lambda: connections(acl, user), f"{user} is connected")
        if without is None:
            wait_until(lambda: "name=reencrypt-secrets-" in str(connections(acl, user)), "it has a name")
        else:
            assert " name= " in line
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not connections(acl, user), "it has gone")


def connections(redis, user) -> list:
    return [line for line in redis.command("CLIENT", "LIST").decode().splitlines() if f" user={user} " in line]


def has_got_through(process, redis, user) -> bool:
    """It talks to Redis as that user, or has ended well."""
    return connections(redis, user) or (not process.is_running() and not says_so(process))


class Sentinel:
    """Redis' own, over one server."""

    def __init__(self, folder, server):
        self.port = free_loopback_port()
        settings = folder / "sentinel.conf"
        settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor mymaster 127.0.0.1 {server.port} 1\nsentinel auth-pass mymaster {server.password}\n"
        )
        self._process = subprocess.Popen(
            [redis_server_binary(), settings, "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: self._process.poll() is None and listens(self.port), "the sentinel listens")

    def stop(self):
        self._process.terminate()
        self._process.wait(10)


def listens(port) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
