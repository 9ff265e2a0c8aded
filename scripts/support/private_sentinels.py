"""A private Redis with a replica, watched by three Sentinels, each on a free loopback port.

All of them are processes of this one and end with it. The clients' password is the same on both servers, so that they
may follow a failover; the Sentinels ask for one of their own.
"""

import pathlib
import time

from private_redis import PrivateRedis
from resp_client import RedisAway, RedisClient

MASTER_NAME = "the-master"
SENTINELS = 3
QUORUM = 2
# How long a server is silent before a Sentinel thinks that it is away.
DOWN_AFTER_MILLISECONDS = 300
START_DEADLINE_SECONDS = 30


class PrivateSentinelsError(RuntimeError):
    """The servers do not know one another after their time."""


class PrivateSentinels:
    """`primary` and `replica` are `PrivateRedis` servers; so are `sentinels`. Any of them may be stopped."""

    def __init__(self, directory):
        self._directory = pathlib.Path(directory).absolute()
        self.primary = self.replica = None
        self.sentinels = []

    def start(self):
        """Starts all of them and waits until each Sentinel knows the replica and the other Sentinels."""
        # A replica may ask for all data at once; a primary that waited for more of them would only lose time.
        common = {"repl-diskless-sync-delay": "0"}
        self.primary = PrivateRedis(self._directory / "primary", common, unix_socket=False).start()
        password = self.primary.password
        self.replica = PrivateRedis(
            self._directory / "replica",
            common
            | {"replicaof": f"127.0.0.1 {self.primary.port}", "masterauth": password, "requirepass": password},
            unix_socket=False,
        ).start()
        self._wait(lambda: self._info(self.replica).get("master_link_status") == "up", "the replica follows the primary")
        for number in range(SENTINELS):
            self.sentinels.append(self._sentinel(number, password).start())
        for sentinel in self.sentinels:
            self._wait(lambda sentinel=sentinel: self._knows_the_others(sentinel), "the Sentinels know one another")
        return self

    def stop(self):
        for server in (*self.sentinels, self.replica, self.primary):
            if server is not None:
                server.stop(immediate=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def url(self, database=0) -> str:
        """The address by all Sentinels, in the order of `sentinels`."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        parameters = f"sentinel_password={self.sentinels[0].password}"
        return f"redis+sentinel://:{self.primary.password}@{hosts}/{MASTER_NAME}/{database}?{parameters}"

    def has_failed_over(self) -> bool:
        """Whether the replica takes writes by now."""
        return self._info(self.replica).get("role") == "master"

    # MARK: details

    def _sentinel(self, number, password) -> PrivateRedis:
        settings = {
            "sentinel monitor": f"{MASTER_NAME} 127.0.0.1 {self.primary.port} {QUORUM}",
            "sentinel auth-pass": f"{MASTER_NAME} {password}",
            "sentinel down-after-milliseconds": f"{MASTER_NAME} {DOWN_AFTER_MILLISECONDS}",
            "sentinel failover-timeout": f"{MASTER_NAME} 3000",
        }
        # They log in to one another with their own password, which has to be the same for all.
        if self.sentinels:
            settings["requirepass"] = self.sentinels[0].password
        return PrivateRedis(
            self._directory / f"sentinel-{number}", settings, unix_socket=False, options=("--sentinel",)
        )

    @staticmethod
    def _info(server) -> dict:
        client = RedisClient(server.url())
        try:
            lines = client.command("INFO", "replication").decode().splitlines()
        except RedisAway:
            return {}
        finally:
            client.close()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    @staticmethod
    def _knows_the_others(sentinel) -> bool:
        client = RedisClient(sentinel.url())
        try:
            others = client.command("SENTINEL", "sentinels", MASTER_NAME)
            return len(others) == SENTINELS - 1 and len(client.command("SENTINEL", "replicas", MASTER_NAME)) == 1
        finally:
            client.close()

    @staticmethod
    def _wait(condition, what):
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise PrivateSentinelsError(f"not within {START_DEADLINE_SECONDS} s: {what}")
            time.sleep(0.02)
