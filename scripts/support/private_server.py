"""What a private server is, of either kind: a process that works in a folder of its own and is stopped by its pid.

Tests, the demo and the measurements all need servers that nobody else uses: with settings of their own, on a free loopback
port and a unix socket, gone without a trace afterwards. The system's servers are never touched.
"""

import argparse
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time


# What the servers of all tests that run at the same time may need, in bytes.
ROOM_IN_MEMORY = 12 << 30


class PrivateServerError(RuntimeError):
    """The server could not be made, started or stopped; the message names the log."""


def free_loopback_port() -> int:
    """A port that was free a moment ago; the server's own bind is the proof."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scratch_parent() -> str:
    """Where the folders of short-lived servers are made: in memory where there is room, since a server of a test makes
    and removes thousands of files. A short path: a socket's has to be short."""
    shared_memory = "/dev/shm"
    if os.access(shared_memory, os.W_OK) and shutil.disk_usage(shared_memory).free >= ROOM_IN_MEMORY:
        return shared_memory
    return "/tmp"


class PrivateServer:
    """One server: its folder is made on the first start and kept, with port and password.

    A subclass says how the folder is made (`_is_initialised`, `_initialise`), what is run (`_command`), when it answers
    (`_answers`), and which process it is (`_recorded_pid`).
    """

    error = PrivateServerError
    start_deadline_seconds = 60
    stop_deadline_seconds = 30
    # The user that a root caller's server runs as; None: the caller's own.
    user_below_root = None
    # One after the other, until the process has ended.
    stop_signals = (signal.SIGTERM, signal.SIGKILL)
    immediate_stop_signals = (signal.SIGKILL,)

    def __init__(self, directory, settings=None):
        self.directory = pathlib.Path(directory).absolute()
        self.log = self.directory / "server.log"
        self.settings = dict(settings or {})
        self._child = None

    def start(self, detached=False):
        """Starts the server and waits until it answers. A detached one outlives this process."""
        if not self._is_initialised():
            self._initialise()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=None if detached else self._die_with_parent,
                **self._run_as(),
            )
        deadline = time.monotonic() + self.start_deadline_seconds
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise self.error(f"the server did not start: {self._end_of_log()}")
            time.sleep(0.02)
        return self

    def stop(self, immediate=False):
        """Stops the server by its pid; the next signal follows when the one before did not end it."""
        pid = self._running_pid()
        if pid is None:
            return
        for signal_number in self.immediate_stop_signals if immediate else self.stop_signals:
            try:
                self._send(pid, signal_number)
            except ProcessLookupError:
                break
            if self._has_ended(pid):
                break
        else:
            raise self.error(f"server process {pid} did not end")
        self._child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # MARK: details

    def _send(self, pid, signal_number):
        os.kill(pid, signal_number)

    def _die_with_parent(self):
        """Asks the kernel for the first of the stop signals when the starting process dies, however it dies."""
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, self.stop_signals[0])

    def _owner(self):
        """The user that the server runs as, where it is not the caller's own."""
        if self.user_below_root is None or os.geteuid() != 0:
            return None
        return pwd.getpwnam(self.user_below_root)

    def _run_as(self) -> dict:
        owner = self._owner()
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}

    def _give_to_server_user(self, *paths):
        owner = self._owner()
        if owner:
            for path in paths:
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _running_pid(self):
        """The server's pid, only if the process of that pid really serves this folder."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        try:
            return self._recorded_pid()
        except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError, IndexError):
            return None

    def _has_ended(self, pid) -> bool:
        deadline = time.monotonic() + self.stop_deadline_seconds
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


def command_line(description, server_of, more_options=lambda start: None):
    """`start --dir D [--set name=value …]` prints the server's URL; `stop --dir D` stops it and leaves the folder.
    `server_of(arguments)` is the server; `more_options` adds those of one kind to `start`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="make (if new) and start a server; print its URL")
    stop = commands.add_parser("stop", help="stop the server of a folder")
    for command in (start, stop):
        command.add_argument("--dir", required=True)
    more_options(start)
    start.add_argument("--set", action="append", default=[], type=_parse_setting, metavar="name=value")
    stop.set_defaults(set=[])
    arguments = parser.parse_args()
    try:
        server = server_of(arguments)
        if arguments.command == "start":
            print(server.start(detached=True).url())
        else:
            server.stop()
    except PrivateServerError as error:
        sys.exit(str(error))
