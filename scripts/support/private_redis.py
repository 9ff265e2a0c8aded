"""A private Redis server in a folder of its own.

Tests and the demo need a server that nobody else uses: with settings of their own, behind a password, on a
free loopback port and a unix socket, gone without a trace afterwards. The system's server is never touched.

    private_redis.py start --dir D [--port-only] [--tls] [--set name=value ...]    prints the server's URL
    private_redis.py stop --dir D                                                  stops it and leaves the folder

`--port-only` makes no unix socket. `--tls` makes an authority and certificates and listens with TLS alone; the
URL then names the files, and the server asks for a client's certificate. `REENCRYPT_TEST_REDIS_SERVER` names
another `redis-server` (or `valkey-server`) than the one on PATH.
"""

import argparse
import ctypes
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

START_DEADLINE_SECONDS = 30
STOP_DEADLINE_SECONDS = 10
# The socket's whole path must fit sockaddr_un (108 bytes with the terminating zero).
LONGEST_SOCKET_PATH = 107


class PrivateRedisError(RuntimeError):
    """The server could not be made, started or stopped; the message names the log."""


def redis_server_binary() -> str:
    """`REENCRYPT_TEST_REDIS_SERVER`, else the `redis-server` or `valkey-server` on PATH."""
    override = os.environ.get("REENCRYPT_TEST_REDIS_SERVER")
    binary = override or shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        raise PrivateRedisError("no Redis server found: install redis-server, or set REENCRYPT_TEST_REDIS_SERVER")
    return binary


def free_loopback_port() -> int:
    """A port that was free a moment ago; the server's own bind is the proof."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent():
    """Asks the kernel for SIGTERM (a clean shutdown) when the starting process dies, however it dies."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class PrivateRedis:
    """One server: its configuration is written on the first start and kept, with port and password."""

    def __init__(self, directory, settings=None, unix_socket=True, tls=False):
        self.directory = pathlib.Path(directory).absolute()
        self.configuration = self.directory / "redis.conf"
        self.log = self.directory / "server.log"
        self.settings = dict(settings or {})
        self.unix_socket = unix_socket
        self.tls = tls
        self._child = None

    # MARK: life cycle

    def start(self, detached=False):
        """Starts the server and waits until it answers. A detached one outlives this process."""
        if not self.configuration.exists():
            self._initialise()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                [redis_server_binary(), str(self.configuration)],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=None if detached else _die_with_parent,
            )
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not self._listens():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PrivateRedisError(f"the server did not start: {self._end_of_log()}")
            time.sleep(0.02)
        return self

    def stop(self, immediate=False):
        """Stops the server by its pid: SIGTERM, which saves what `save` asks for; SIGKILL for an immediate stop,
        or when that hangs."""
        pid = self._running_pid()
        if pid is None:
            return
        for signal_number in [signal.SIGKILL] if immediate else [signal.SIGTERM, signal.SIGKILL]:
            try:
                os.kill(pid, signal_number)
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                break
            if self._has_ended(pid, STOP_DEADLINE_SECONDS):
                break
        else:
            raise PrivateRedisError(f"server process {pid} did not end")
        self._child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # MARK: addresses

    @property
    def port(self) -> int:
        return int(self._setting("port")) or int(self._setting("tls-port"))

    @property
    def password(self) -> str:
        return self._setting("requirepass")

    @property
    def socket_path(self) -> str:
        return self._setting("unixsocket")

    @property
    def pid(self):
        """None where it does not run."""
        return self._running_pid()

    def url(self, database=0, port=None) -> str:
        """The TCP address; `port` leads through a proxy instead."""
        address = f":{self.password}@127.0.0.1:{port or self.port}/{database}"
        if int(self._setting("port")):
            return f"redis://{address}"
        files = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
        query = {name: self.directory / "tls" / file for name, file in files.items()}
        return f"rediss://{address}?{urllib.parse.urlencode(query, safe='/', quote_via=urllib.parse.quote)}"

    def unix_url(self, database=0) -> str:
        return f"unix://:{self.password}@{urllib.parse.quote(self.socket_path)}?db={database}"

    # MARK: details

    def _initialise(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        port = free_loopback_port()
        settings = {
            "bind": "127.0.0.1",
            "port": 0 if self.tls else port,
            "requirepass": secrets.token_urlsafe(24),
            "dir": self.directory,
            "pidfile": self.directory / "server.pid",
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
        }
        if self.unix_socket:
            settings["unixsocket"] = self._short_socket_path()
        if self.tls:
            self._make_certificates()
            settings |= {
                "tls-port": port,
                "tls-ca-cert-file": self.directory / "tls" / "ca.crt",
                "tls-cert-file": self.directory / "tls" / "server.crt",
                "tls-key-file": self.directory / "tls" / "server.key",
            }
        # Ours are quoted; a caller's value may be several words, as that of `save` is.
        lines = [f'{name} "{value}"\n' for name, value in settings.items() if name not in self.settings]
        lines += [f"{name} {value}\n" if value else f'{name} ""\n' for name, value in self.settings.items()]
        with open(os.open(self.configuration, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.writelines(lines)

    def _short_socket_path(self) -> str:
        path = str(self.directory / "redis.sock")
        if len(path) <= LONGEST_SOCKET_PATH:
            return path
        return tempfile.mkdtemp(prefix="redis-") + "/redis.sock"

    def _make_certificates(self):
        """An authority of its own; a server for localhost and 127.0.0.1; a client."""
        folder = self.directory / "tls"
        folder.mkdir()

        def openssl(*arguments):
            outcome = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if outcome.returncode != 0:
                raise PrivateRedisError(f"openssl {arguments[0]} failed: {outcome.stderr}")

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=private CA")
        for name, extension in [
            ("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            ("client", "extendedKeyUsage=clientAuth"),
        ]:
            (folder / "extension").write_text(extension + "\n")
            openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            openssl(
                "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "extension", "-out", f"{name}.crt",
            )  # fmt: skip

    def _setting(self, name) -> str:
        for line in self.configuration.read_text().splitlines():
            found, _, value = line.partition(" ")
            if found == name:
                return value.strip('"')
        raise PrivateRedisError(f"{self.configuration} sets no {name}")

    def _listens(self) -> bool:
        """The port is open once the server has loaded its data, or answers that it is loading."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0 and self._running_pid() is not None

    def _running_pid(self):
        """The server's pid, only if the process of that pid really works in this folder."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        try:
            pid = int((self.directory / "server.pid").read_text())
            working_directory = os.readlink(f"/proc/{pid}/cwd")
        except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
            return None
        return pid if working_directory == os.path.realpath(self.directory) else None

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
    start.add_argument("--port-only", action="store_true", help="no unix socket")
    start.add_argument("--tls", action="store_true", help="TLS alone, with a client's certificate required")
    start.add_argument("--set", action="append", default=[], type=_parse_setting, metavar="name=value")
    arguments = parser.parse_args()
    try:
        if arguments.command == "start":
            server = PrivateRedis(arguments.dir, dict(arguments.set), not arguments.port_only, arguments.tls)
            print(server.start(detached=True).url())
        else:
            PrivateRedis(arguments.dir).stop()
    except PrivateRedisError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
