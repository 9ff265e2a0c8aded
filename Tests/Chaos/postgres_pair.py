"""A primary and its synchronous streaming standby. A failover promotes the standby, and makes a new one of the rest.

What is committed is on both (`synchronous_standby_names` is `*` while there is a standby), so a failover loses no
write that anybody was told of. One tablespace lies on a small file system of its own, where root may mount one.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import psycopg2

from lasting_thread import LastingThread
from private_postgres import PrivatePostgres, PrivatePostgresError, free_loopback_port

SETTINGS = {
    "max_connections": 200, "max_prepared_transactions": 10, "shared_buffers": "64MB", "wal_keep_size": "256MB",
    "wal_retrieve_retry_interval": "200ms", "wal_receiver_status_interval": "1s",
    "checkpoint_timeout": "30s", "max_wal_size": "256MB",
    # Most rows are rewritten again and again.
    "autovacuum_naptime": "5s", "autovacuum_vacuum_cost_delay": "0",
    # The faults end processes, not machines: what the kernel has been given survives them.
    "fsync": "off", "log_min_messages": "error",
}  # fmt: skip
DATABASE = "chaos"
TABLESPACE_MEBIBYTES = 256
MARGIN_BYTES = 64 << 10


def children(pid) -> list:
    return [int(text) for text in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class PostgresPair:
    def __init__(self, folder):
        self.folder = folder
        self.servers = [PrivatePostgres(folder / name, SETTINGS) for name in ("postgres-a", "postgres-b")]
        self.primary, self.standby = self.servers
        self.has_standby = threading.Event()
        # Whoever changes what commits wait for.
        self.requirement = threading.RLock()
        self.has_small_tablespace = False
        self.problems = []
        self._mounts = {}
        self._starter = LastingThread()

    def start(self):
        self._starter.call(self.primary.start)
        self._mount()
        self.execute(f"CREATE DATABASE {DATABASE}", database="postgres")
        if self.has_small_tablespace:
            self.execute(f"CREATE TABLESPACE small LOCATION '{self._mounts[self.primary]}'")
        self.attach_standby()
        return self

    def close(self):
        self.has_standby.clear()
        for server in self.servers:
            with contextlib.suppress(PrivatePostgresError):
                server.stop(immediate=True)
        for mount in self._mounts.values():
            subprocess.run(["umount", "-l", str(mount)], check=False, capture_output=True)

    def _mount(self):
        if os.geteuid() != 0:
            return
        for server in self.servers:
            mount = self.folder / f"tablespace-{server.directory.name}"
            mount.mkdir()
            size = f"size={TABLESPACE_MEBIBYTES}m,mode=700"
            if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(mount)], check=False,
                              capture_output=True).returncode != 0:  # fmt: skip
                return
            self._mounts[server] = mount
            server._give_to_server_user(mount)
        self.has_small_tablespace = True

    # MARK: access

    def connect(self, database=DATABASE, timeout=10, application_name="chaos"):
        connection = psycopg2.connect(
            host=self.primary.socket_directory, port=self.primary.port, user="postgres", dbname=database,
            connect_timeout=timeout, application_name=application_name,
            options="-c synchronous_commit=local -c statement_timeout=60s -c idle_session_timeout=0",
        )  # fmt: skip
        connection.autocommit = True
        return connection

    def rows(self, sql, parameters=None, database=DATABASE) -> list:
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def execute(self, sql, parameters=None, database=DATABASE):
        self.rows(sql, parameters, database)

    def url(self, port) -> str:
        return self.primary.url(DATABASE, port=port)

    # MARK: standby

    def attach_standby(self):
        """A fresh copy of the primary, streaming, and from then on waited for by every commit."""
        standby, primary = self.standby, self.primary
        standby.stop(immediate=True)
        shutil.rmtree(standby.data, ignore_errors=True)
        standby.directory.mkdir(exist_ok=True)
        standby._give_to_server_user(standby.directory)
        standby.directory.chmod(0o700)
        shutil.copy(primary.directory / "password", standby.directory / "password")
        mapping = []
        if self.has_small_tablespace:
            for path in self._mounts[standby].iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            # The copy's link names where it lies there now.
            mapping = ["-T", f"{self._mounts[primary]}={self._mounts[standby]}"]
        standby._run(
            "pg_basebackup", "-D", str(standby.data), "-h", primary.socket_directory, "-p", str(primary.port),
            "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", *mapping,
        )  # fmt: skip
        with open(standby.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"port = '{free_loopback_port()}'\n")
            file.write(f"unix_socket_directories = '{standby._short_socket_directory()}'\n")
        self._starter.call(standby.start)
        with self.requirement:
            self.wait_until_streaming()
            self.require_standby("*")
            self.has_standby.set()

    def wait_until_streaming(self, seconds=30):
        deadline = time.monotonic() + seconds
        while not self.rows("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"):
            if time.monotonic() > deadline:
                raise PrivatePostgresError("the standby does not stream")
            time.sleep(0.05)

    def wait_until_standby_has_all(self, seconds=20):
        """All that is committed here at this moment, waited for or not, is on the standby's disk."""
        position = self.rows("SELECT pg_current_wal_lsn()")[0][0]
        deadline = time.monotonic() + seconds
        while not self.rows("SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= %s::pg_lsn", (position,)):
            if time.monotonic() > deadline:
                raise PrivatePostgresError("the standby does not follow")
            time.sleep(0.02)

    def require_standby(self, names):
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.execute("SELECT pg_reload_conf()")

    def _crash(self):
        """An immediate shutdown. Where the postmaster hangs in it, it is killed with all its children."""
        try:
            self.primary.stop(immediate=True)
        except PrivatePostgresError:
            postmaster = self.primary._running_pid()
            for pid in [postmaster, *children(postmaster)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.primary.stop(immediate=True)

    def restart(self, pause=0.0):
        self._crash()
        time.sleep(pause)
        self._starter.call(self.primary.start)

    def promote(self):
        """The primary is gone; the standby takes its place. Returns once the new one takes writes."""
        self.has_standby.clear()
        self._crash()
        self.standby._run("pg_ctl", "promote", "-w", "-D", str(self.standby.data))
        self.primary, self.standby = self.standby, self.primary
        self.require_standby("")

    def rebuild(self):
        """Until there is a standby again; the primary may restart meanwhile."""
        for _ in range(20):
            try:
                return self.attach_standby()
            except (PrivatePostgresError, psycopg2.Error, OSError) as error:
                last = error
                time.sleep(1)
        self.problems.append(f"no standby could be made: {last}")

    # MARK: disk

    @contextlib.contextmanager
    def full_tablespace(self):
        """No block left on the small file system."""
        path = self._mounts[self.primary] / "filler"
        try:
            with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * MARGIN_BYTES)
            yield
        finally:
            path.unlink()
