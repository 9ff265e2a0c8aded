"""A private Redis server in a folder of its own.

Tests and the demo need a server that nobody else uses: with settings of their own, behind a password, on a
free loopback port and a unix socket, gone without a trace afterwards. The system's server is never touched.

    private_redis.py start --dir D [--port-only] [--tls] [--set name=value ...]    prints the server's URL
    private_redis.py stop --dir D                                                  stops it and leaves the folder

`--port-only` makes no unix socket. `--tls` makes an authority and certificates and listens with TLS alone; the
URL then names the files, and the server asks for a client's certificate. `REENCRYPT_TEST_REDIS_SERVER` names
another `redis-server` (or `valkey-server`) than the one on PATH.
"""

import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse

from private_server import PrivateServer, PrivateServerError, command_line, free_loopback_port

# The socket's whole path must fit sockaddr_un (108 bytes with the terminating zero).
LONGEST_SOCKET_PATH = 107


class PrivateRedisError(PrivateServerError):
    """The server could not be made, started or stopped; the message names the log."""


def redis_server_binary() -> str:
    """`REENCRYPT_TEST_REDIS_SERVER`, else the `redis-server` or `valkey-server` on PATH."""
    override = os.environ.get("REENCRYPT_TEST_REDIS_SERVER")
    binary = override or shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        raise PrivateRedisError("no Redis server found: install redis-server, or set REENCRYPT_TEST_REDIS_SERVER")
    return binary


class PrivateRedis(PrivateServer):
    """One server. A stop is a SIGTERM, which saves what `save` asks for; a SIGKILL when asked for or when that hangs."""

    error = PrivateRedisError
    start_deadline_seconds = 30
    stop_deadline_seconds = 10

    def __init__(self, directory, settings=None, unix_socket=True, tls=False, options=()):
        super().__init__(directory, settings)
        self.configuration = self.directory / "redis.conf"
        self.unix_socket = unix_socket
        self.tls = tls
        self.options = options

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

    def _is_initialised(self) -> bool:
        return self.configuration.exists()

    def _command(self) -> list:
        return [redis_server_binary(), str(self.configuration), *self.options]

    def _send(self, pid, signal_number):
        """A server that a test has stopped with SIGSTOP hears of it too."""
        super()._send(pid, signal_number)
        os.kill(pid, signal.SIGCONT)

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

    def _answers(self) -> bool:
        """The port is open once the server has loaded its data, or answers that it is loading."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0 and self._running_pid() is not None

    def _recorded_pid(self):
        pid = int((self.directory / "server.pid").read_text())
        working_directory = os.readlink(f"/proc/{pid}/cwd")
        return pid if working_directory == os.path.realpath(self.directory) else None


def _more_options(start):
    start.add_argument("--port-only", action="store_true", help="no unix socket")
    start.add_argument("--tls", action="store_true", help="TLS alone, with a client's certificate required")


def _server_of(arguments):
    if arguments.command == "stop":
        return PrivateRedis(arguments.dir)
    return PrivateRedis(arguments.dir, dict(arguments.set), not arguments.port_only, arguments.tls)


if __name__ == "__main__":
    command_line(__doc__, _server_of, _more_options)
