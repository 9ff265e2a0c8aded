"""A private PostgreSQL server in a folder of its own.

Tests, the demo and the rate measurement all need a server that nobody else uses: with settings of their
own, on a free loopback port and a unix socket, gone without a trace afterwards. The system's cluster is
never touched. PostgreSQL refuses to run as root, so a root caller's server runs as the user `postgres`.

    private_postgres.py start --dir D [--set name=value ...]    prints the server's URL
    private_postgres.py stop --dir D                            stops it and leaves the folder
"""

import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import tempfile

from private_server import PrivateServer, PrivateServerError, command_line, free_loopback_port

SUPERUSER = "postgres"
# The socket's whole path must fit sockaddr_un (108 bytes with the terminating zero).
LONGEST_SOCKET_DIRECTORY = 80


class PrivatePostgresError(PrivateServerError):
    """The server could not be made, started or stopped; the message names the log."""


def postgres_bin_directory() -> pathlib.Path:
    """`REENCRYPT_TEST_PG_BIN`, else the newest /usr/lib/postgresql/*/bin, else what pg_config names."""
    override = os.environ.get("REENCRYPT_TEST_PG_BIN")
    if override:
        return pathlib.Path(override)
    installed = [path for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if installed:
        return max(installed, key=lambda path: int(re.match(r"\d+", path.parent.name).group()))
    pg_config = shutil.which("pg_config")
    if pg_config:
        return pathlib.Path(subprocess.check_output([pg_config, "--bindir"], text=True).strip())
    raise PrivatePostgresError("no PostgreSQL server found: install postgresql, or set REENCRYPT_TEST_PG_BIN")


class PrivatePostgres(PrivateServer):
    """One server. A stop is a fast shutdown, an immediate one when asked for or when that hangs."""

    error = PrivatePostgresError
    user_below_root = SUPERUSER
    stop_signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
    immediate_stop_signals = (signal.SIGQUIT,)

    def __init__(self, directory, settings=None, host_authentication="scram-sha-256"):
        """`host_authentication`: how TCP connections give their password. SCRAM costs a client 4 ms a connection."""
        super().__init__(directory, settings)
        self.host_authentication = host_authentication
        self.data = self.directory / "data"
        self.bin = postgres_bin_directory()

    # MARK: copies

    def clone_and_promote(self, origin):
        """Becomes a physical copy of the running `origin`, with its data and password, on a timeline of its own."""
        self._copy(origin)
        self.start()
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def start_as_standby_of(self, origin, name="standby"):
        """Becomes a streaming standby of the running `origin`; `name` is its application_name there."""
        source = f"host={origin.socket_directory} port={origin.port} user={SUPERUSER} application_name={name}"
        self._copy(origin, primary_conninfo=source)
        self.start()
        return self

    def _copy(self, origin, **more):
        self.directory.mkdir(parents=True)
        self._give_to_server_user(self.directory)
        self.directory.chmod(0o700)
        self._run(
            "pg_basebackup", "-D", str(self.data), "-h", origin.socket_directory, "-p", str(origin.port),
            "-U", SUPERUSER, "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        own = {
            "port": free_loopback_port(),
            "unix_socket_directories": self._short_socket_directory(),
            "hot_standby": "on",
            **more,
        }
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in own.items())
        (self.data / "standby.signal").touch()
        self._give_to_server_user(self.data / "standby.signal")
        (self.directory / "password").write_text(origin.password)

    # MARK: addresses

    @property
    def port(self) -> int:
        return int(self._setting("port"))

    @property
    def socket_directory(self) -> str:
        return self._setting("unix_socket_directories")

    @property
    def password(self) -> str:
        """The superuser's password for TCP connections; the unix socket asks for none."""
        return (self.directory / "password").read_text().strip()

    def url(self, database="postgres", port=None, user=SUPERUSER, password=None) -> str:
        """The TCP address of a database; `port` leads through a proxy instead."""
        password = self.password if password is None else password
        return f"postgresql://{user}:{password}@127.0.0.1:{port or self.port}/{database}"

    # MARK: details

    def _run(self, program, *arguments):
        outcome = subprocess.run(
            [str(self.bin / program), *arguments], cwd=self.directory, capture_output=True, text=True, **self._run_as()
        )
        if outcome.returncode != 0:
            raise PrivatePostgresError(f"{program} failed: {outcome.stdout}{outcome.stderr}")

    def _is_initialised(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def _command(self) -> list:
        return [str(self.bin / "postgres"), "-D", str(self.data)]

    def _initialise(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        password = self.directory / "password"
        password.write_text(secrets.token_urlsafe(24) + "\n")
        password.chmod(0o600)
        self._give_to_server_user(self.directory, password)
        self.directory.chmod(0o700)
        outcome = subprocess.run(
            [
                str(self.bin / "initdb"), "-D", str(self.data), "-U", SUPERUSER, "--no-sync",
                "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust",
                f"--auth-host={self.host_authentication}", f"--pwfile={password}",
            ],
            cwd=self.directory, capture_output=True, text=True, **self._run_as(),
        )  # fmt: skip
        if outcome.returncode != 0:
            raise PrivatePostgresError(f"initdb failed: {outcome.stdout}{outcome.stderr}")
        defaults = {
            "listen_addresses": "127.0.0.1",
            "port": free_loopback_port(),
            "unix_socket_directories": self._short_socket_directory(),
            "max_connections": 100,
            "shared_buffers": "256MB",
            "log_line_prefix": "%m [%p] %a %d ",
        }
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as configuration:
            for name, value in {**defaults, **self.settings}.items():
                quoted = str(value).replace("'", "''")
                configuration.write(f"{name} = '{quoted}'\n")

    def _short_socket_directory(self) -> str:
        if len(str(self.directory)) <= LONGEST_SOCKET_DIRECTORY:
            return str(self.directory)
        directory = tempfile.mkdtemp(prefix="pg-")
        self._give_to_server_user(directory)
        return directory

    def _setting(self, name) -> str:
        values = re.findall(rf"^{name} = '(.*)'$", (self.data / "postgresql.conf").read_text(), re.M)
        return values[-1]

    def _answers(self) -> bool:
        outcome = subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        )
        return outcome.returncode == 0

    def _recorded_pid(self):
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        command_line_of_pid = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        return pid if str(self.data).encode() in command_line_of_pid else None


if __name__ == "__main__":
    command_line(__doc__, lambda arguments: PrivatePostgres(arguments.dir, dict(arguments.set)))
