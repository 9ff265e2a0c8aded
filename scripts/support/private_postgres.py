"""A private PostgreSQL server in a folder of its own.

Tests, the demo and the rate measurement all need a server that nobody else uses: with settings of their
own, on a free loopback port and a unix socket, gone without a trace afterwards. The system's cluster is
never touched. PostgreSQL refuses to run as root, so a root caller's server runs as the user `postgres`.

    private_postgres.py start --dir D [--set name=value ...]    prints the server's URL
    private_postgres.py stop --dir D                            stops it and leaves the folder
"""

import argparse
import ctypes
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SUPERUSER = "postgres"
START_DEADLINE_SECONDS = 60
STOP_DEADLINE_SECONDS = 30
# The socket's whole path must fit sockaddr_un (108 bytes with the terminating zero).
LONGEST_SOCKET_DIRECTORY = 80


class PrivatePostgresError(RuntimeError):
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


def free_loopback_port() -> int:
    """A port that was free a moment ago; the server's own bind is the proof."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent():
    """Asks the kernel for SIGINT (a fast shutdown) when the starting process dies, however it dies."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


class PrivatePostgres:
    """One server: `initdb` on first start, then start and stop by pid."""

    def __init__(self, directory, settings=None):
        self.directory = pathlib.Path(directory).absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self.settings = dict(settings or {})
        self.bin = postgres_bin_directory()
        self._child = None

    # MARK: life cycle

    def start(self, detached=False):
        """Starts the server and waits until it answers. A detached one outlives this process."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        port = self._configured_port()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data)],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=None if detached else _die_with_parent,
                **self._run_as(),
            )
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not self._answers(port):
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PrivatePostgresError(f"the server did not start: {self._end_of_log()}")
            time.sleep(0.02)
        return self

    def stop(self, immediate=False):
        """Stops the server by its pid; a fast shutdown, an immediate one when asked for or when that hangs."""
        pid = self._running_pid()
        if pid is None:
            return
        order = [signal.SIGQUIT] if immediate else [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]
        for signal_number in order:
            try:
                os.kill(pid, signal_number)
            except ProcessLookupError:
                break
            if self._has_ended(pid, STOP_DEADLINE_SECONDS):
                break
        else:
            raise PrivatePostgresError(f"server process {pid} did not end")
        self._child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

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
        return self._configured_port()

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

    def _give_to_server_user(self, path):
        if os.geteuid() == 0:
            owner = pwd.getpwnam(SUPERUSER)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _initialise(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        password = self.directory / "password"
        password.write_text(secrets.token_urlsafe(24) + "\n")
        password.chmod(0o600)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(SUPERUSER)
            for path in (self.directory, password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self.directory.chmod(0o700)
        outcome = subprocess.run(
            [
                str(self.bin / "initdb"), "-D", str(self.data), "-U", SUPERUSER, "--no-sync",
                "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256",
                f"--pwfile={password}",
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
        if os.geteuid() == 0:
            owner = pwd.getpwnam(SUPERUSER)
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        return directory

    def _setting(self, name) -> str:
        values = re.findall(rf"^{name} = '(.*)'$", (self.data / "postgresql.conf").read_text(), re.M)
        return values[-1]

    def _configured_port(self) -> int:
        return int(self._setting("port"))

    def _run_as(self) -> dict:
        if os.geteuid() != 0:
            return {}
        owner = pwd.getpwnam(SUPERUSER)
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def _answers(self, port) -> bool:
        outcome = subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], check=False
        )
        return outcome.returncode == 0

    def _running_pid(self):
        """The postmaster's pid, only if the process of that pid really serves this folder."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            command_line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
            return None
        return pid if str(self.data).encode() in command_line else None

    def _has_ended(self, pid, seconds) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._child is not None and self._child.pid == pid:
                if self._child.poll() is not None:
                    return True
            elif not pathlib.Path(f"/proc/{pid}").exists():
                return True
            time.sleep(0.02)
        return False

    def _end_of_log(self) -> str:
        try:
            return self.log.read_text(errors="replace")[-2000:]
        except FileNotFoundError:
            return "(no log)"


def _parse_setting(text):
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="make (if new) and start a server; print its URL")
    stop = commands.add_parser("stop", help="stop the server of a folder")
    for command in (start, stop):
        command.add_argument("--dir", required=True)
    start.add_argument("--set", action="append", default=[], type=_parse_setting, metavar="name=value")
    arguments = parser.parse_args()
    try:
        if arguments.command == "start":
            print(PrivatePostgres(arguments.dir, dict(arguments.set)).start(detached=True).url())
        else:
            PrivatePostgres(arguments.dir).stop()
    except PrivatePostgresError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
