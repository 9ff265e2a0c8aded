"""A Redis that is killed and comes back with its data, without, or with those of an earlier moment."""

import re
import shutil
import time

from lasting_thread import LastingThread
from private_redis import PrivateRedis
from resp_client import RedisAway, RedisClient, RedisError

LOADING_DEADLINE_SECONDS = 20


class RedisUnderFire:
    def __init__(self, folder):
        self.server = PrivateRedis(folder / "redis", {"appendfsync": "everysec"})
        self.snapshot = folder / "snapshot.rdb"
        self._starter = LastingThread()

    def start(self):
        self._starter.call(self.server.start)
        self._keep()
        return self

    def close(self):
        self.server.stop(immediate=True)

    def client(self, timeout=5.0) -> RedisClient:
        return RedisClient(self.server.url(), timeout)

    def command(self, *words):
        client = self.client()
        try:
            return client.command(*words)
        finally:
            client.close()

    def kill(self):
        self.server.stop(immediate=True)

    def restart(self, kept):
        """After `kill`. `kept`: with all that it had been told."""
        text = self.server.configuration.read_text()
        wish = "yes" if kept else "no"
        self.server.configuration.write_text(re.sub(r'^appendonly .*$', f"appendonly {wish}", text, flags=re.M))
        if not kept:
            shutil.rmtree(self.server.directory / "appendonlydir", ignore_errors=True)
            for name in ("appendonly.aof", "dump.rdb"):
                (self.server.directory / name).unlink(missing_ok=True)
        self._starter.call(self.server.start)
        self._wait_until_loaded()
        if not kept:
            self._keep()

    def restart_from_snapshot(self):
        shutil.rmtree(self.server.directory / "appendonlydir", ignore_errors=True)
        (self.server.directory / "appendonly.aof").unlink(missing_ok=True)
        text = self.server.configuration.read_text()
        self.server.configuration.write_text(re.sub(r'^appendonly .*$', "appendonly no", text, flags=re.M))
        shutil.copy(self.snapshot, self.server.directory / "dump.rdb")
        self._starter.call(self.server.start)
        self._wait_until_loaded()
        self._keep()

    def save_snapshot(self):
        self.command("SAVE")
        shutil.copy(self.server.directory / "dump.rdb", self.snapshot)

    def _keep(self):
        """From now on everything is in the append-only file."""
        self.command("CONFIG", "SET", "appendonly", "yes")

    def _wait_until_loaded(self):
        deadline = time.monotonic() + LOADING_DEADLINE_SECONDS
        while True:
            try:
                self.command("PING")
                return
            except (RedisError, RedisAway):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
