"""The commands and health checks of `deploy/compose.yaml` as processes, for want of a container engine."""

import re
import socket
import subprocess

import pytest
import yaml

from support.rotation_tool import REPOSITORY
from support.waiting import wait_until

COMPOSE = yaml.safe_load((REPOSITORY / "deploy/compose.yaml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "reencrypt-secrets"}
TOKEN = "a-token-of-the-tests-0123456789"
PORT = re.compile(r"(?<=[:/])80\d\d\b")


class Composed:
    """Each service as the file has it: its secrets as files in a folder, its ports free ones."""

    def __init__(self, folder, tool, contents):
        self._folder, self._tool = folder, tool
        self._ports = {}
        for name, content in contents.items():
            (folder / name).write_text(content + "\n", encoding="utf-8")

    def port(self, service) -> str:
        if service not in self._ports:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._ports[service] = str(free.getsockname()[1])
        return self._ports[service]

    def environment(self, service) -> dict:
        """Nothing but what the file sets."""
        replaced = {}
        for name, value in OURS[service]["environment"].items():
            path = value.removeprefix("/run/secrets/")
            if path != value:
                assert path in OURS[service]["secrets"]
                value = self._folder / path
            elif value.endswith("encrypted-tables.yaml"):
                value = self._tool.catalog
            replaced[name] = str(value)
        return {"PATH": "/usr/bin:/bin", **replaced}

    def start(self, service):
        words = [PORT.sub(self.port(service), word) for word in OURS[service]["command"]]
        return self._tool.start_command(*words, environment=self.environment(service))

    def is_healthy(self, service) -> bool:
        kind, *command = OURS[service]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [PORT.sub(self.port(service), word.replace("$$", "$")) for word in command]
        checked = subprocess.run(command, capture_output=True, timeout=10, check=False)
        return checked.returncode == 0


@pytest.fixture
def composed(tmp_path, queue_tool, queue, database, kek_v1, kek_v2):
    folder = tmp_path / "secrets"
    folder.mkdir()
    contents = {
        "primary_key": kek_v2.setting,
        "previous_keys": kek_v1.setting,
        "database_url": database.url,
        "redis_url": queue.server.url(),
        "dashboard_token": TOKEN,
    }
    listed = {secret for service in OURS.values() for secret in service["secrets"]}
    assert listed == set(contents)
    return Composed(folder, queue_tool.tool, contents)


def test_a_rotation_by_the_files_commands(composed, queue, table, database, kek_v2):
    application = database.connect("application")
    application.cursor().execute("SELECT FROM llm_providers WHERE id = 1500 FOR UPDATE")
    running = {name: composed.start(name) for name in ("worker", "coordinator", "dashboard")}
    queue.wait_until_done(1_000)
    for name in running:
        wait_until(lambda name=name: composed.is_healthy(name), f"{name} is healthy", interval=0.2)
    application.rollback()
    running["coordinator"].wait().expect(0)
    assert not composed.is_healthy("coordinator"), "one that has ended is said to be healthy"
    composed.start("verifier").wait().expect(0)
    table.assert_opens_with(kek_v2)
    for name in ("worker", "dashboard"):
        running[name].kill()


def test_a_worker_without_redis_is_not_healthy(composed, queue, table, redis_server):
    worker = composed.start("worker")
    wait_until(lambda: composed.is_healthy("worker"), "the worker is healthy", interval=0.2)
    redis_server.stop()
    wait_until(lambda: not composed.is_healthy("worker"), "the worker is not healthy", timeout=40, interval=0.5)
    worker.kill()
