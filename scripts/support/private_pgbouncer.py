"""A private PgBouncer before a private PostgreSQL, on a free loopback port.

It connects to the server as its superuser by the unix socket, which asks for no password, and takes every client on
trust. PgBouncer refuses to run as root, so a root caller's pooler runs as the server's user, `postgres`.
"""

import shutil
import signal
import socket
import time

from private_postgres import SUPERUSER
from private_server import PrivateServer, PrivateServerError, free_loopback_port

EXECUTABLE = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


class PrivatePgBouncerError(PrivateServerError):
    """The pooler could not be made, started or stopped; the message shows its log."""


class PrivatePgBouncer(PrivateServer):
    """One pooler over all databases of `postgres`; a pool holds `pool_size` connections to each of them.

    A stop cuts off its clients.
    """

    error = PrivatePgBouncerError
    start_deadline_seconds = 20
    stop_deadline_seconds = 10
    user_below_root = SUPERUSER

    def __init__(self, directory, postgres, pool_mode, pool_size, settings=None):
        super().__init__(directory, settings)
        self.configuration = self.directory / "pgbouncer.ini"
        self.port = free_loopback_port()
        self._postgres = postgres
        self._own_settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": pool_mode,
            "default_pool_size": pool_size,
        }

    def url(self, database) -> str:
        return f"postgresql://{SUPERUSER}:any@127.0.0.1:{self.port}/{database}"

    def resize(self, pool_size):
        """Reads the settings again, with another number of connections; those that are there stay."""
        self._own_settings["default_pool_size"] = pool_size
        self._initialise()
        before = self._times_read()
        self._send(self._child.pid, signal.SIGHUP)
        deadline = time.monotonic() + self.start_deadline_seconds
        while self._times_read() == before:
            if time.monotonic() > deadline:
                raise self.error(f"the pooler did not read its settings: {self._end_of_log()}")
            time.sleep(0.02)

    # MARK: details

    def _is_initialised(self) -> bool:
        """Each pooler has a port of its own, also in a folder that was used before."""
        return False

    def _initialise(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [
            "[databases]",
            f"* = host={self._postgres.socket_directory} port={self._postgres.port} user={SUPERUSER}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in (self._own_settings | self.settings).items()),
        ]
        self.configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _command(self) -> list:
        return [EXECUTABLE, str(self.configuration)]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _recorded_pid(self):
        """It is always a child of its starter, and ends with it."""
        return None

    def _times_read(self) -> int:
        return self.log.read_text(errors="replace").count("re-reading config")
