"""PgBouncer in transaction mode, for as long as somebody shall be refused."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

from postgres_pair import DATABASE
from private_postgres import free_loopback_port

CONFIGURATION = """[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
ignore_startup_parameters = extra_float_digits,options
"""


class Pooler:
    executable = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"

    def __init__(self, folder):
        self.folder = folder / "pooler"
        self.folder.mkdir()
        self.folder.chmod(0o755)

    @classmethod
    def is_installed(cls) -> bool:
        return os.path.exists(cls.executable)

    @contextlib.contextmanager
    def running(self, pg):
        port = free_loopback_port()
        file = self.folder / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(host=pg.primary.socket_directory, server_port=pg.primary.port, port=port)
        )
        file.chmod(0o644)
        user = ["-u", "postgres"] if os.geteuid() == 0 else []
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen([self.executable, *user, str(file)], stdout=log, stderr=log)
        try:
            self._wait(port)
            yield f"postgresql://postgres:any@127.0.0.1:{port}/{DATABASE}"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    @staticmethod
    def _wait(port):
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
