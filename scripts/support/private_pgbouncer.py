"""A private PgBouncer before a private PostgreSQL, on a free loopback port.

It connects to the server as its superuser by the unix socket, which asks for no password, and takes every client on
trust. PgBouncer refuses to run as root, so a root caller's pooler runs as the server's user, `postgres`. It ends with
the process that started it.
"""

import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

from private_postgres import SUPERUSER, free_loopback_port

EXECUTABLE = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
START_DEADLINE_SECONDS = 20
STOP_DEADLINE_SECONDS = 10


class PrivatePgBouncerError(RuntimeError):
    """The pooler could not be started; the message shows its log."""


def _die_with_parent():
    """Asks the kernel for SIGTERM (an immediate shutdown) when the starting process dies, however it dies."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class PrivatePgBouncer:
    """One pooler over all databases of `postgres`; a pool holds `pool_size` connections to each database."""

    def __init__(self, directory, postgres, pool_mode, pool_size, settings=None):
        self.directory = pathlib.Path(directory).absolute()
        self.log = self.directory / "pgbouncer.log"
        self.port = free_loopback_port()
        self._postgres = postgres
        self._settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": pool_mode,
            "default_pool_size": pool_size,
            **(settings or {}),
        }
        self._child = None

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                [EXECUTABLE, str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **self._run_as(),
            )
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not self._listens():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PrivatePgBouncerError(f"the pooler did not start: {self.log_text()[-2000:]}")
            time.sleep(0.02)
        return self

    def stop(self):
        """By its pid; its clients lose their connections."""
        if self._child is None:
            return
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            self._child.send_signal(signal_number)
            try:
                self._child.wait(STOP_DEADLINE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        self._child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def url(self, database) -> str:
        return f"postgresql://{SUPERUSER}:any@127.0.0.1:{self.port}/{database}"

    def resize(self, pool_size):
        """Reads the settings again, with another number of connections; those that are there stay."""
        self._settings["default_pool_size"] = pool_size
        self._write_configuration()
        reloads = self.log_text().count("re-reading config")
        self._child.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while self.log_text().count("re-reading config") == reloads:
            if time.monotonic() > deadline:
                raise PrivatePgBouncerError(f"the pooler did not read its settings: {self.log_text()[-2000:]}")
            time.sleep(0.02)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    # MARK: details

    @property
    def _configuration(self) -> pathlib.Path:
        return self.directory / "pgbouncer.ini"

    def _write_configuration(self):
        lines = [
            "[databases]",
            f"* = host={self._postgres.socket_directory} port={self._postgres.port} user={SUPERUSER}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in self._settings.items()),
        ]
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @staticmethod
    def _run_as() -> dict:
        if os.geteuid() != 0:
            return {}
        owner = pwd.getpwnam(SUPERUSER)
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
