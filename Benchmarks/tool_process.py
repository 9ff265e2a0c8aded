"""The tool as processes: started with keys and catalog; what CPU time and memory they took is read as they end."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from envelope_reference import KeyEncryptionKey

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
MEMORY_SAMPLE_SECONDS = 0.01
# No measure takes so long: a process that hangs ends with it, not with the reader's patience.
LONGEST_SECONDS = 600


def binary_path() -> pathlib.Path:
    path = pathlib.Path(os.environ.get("REENCRYPT_BINARY", REPOSITORY / ".build/release/reencrypt-secrets"))
    if not path.exists():
        sys.exit(f"{path} does not exist: run `swift build -c release`, or set REENCRYPT_BINARY")
    return path


def output_of(*arguments) -> str:
    return subprocess.run([binary_path(), *arguments], capture_output=True, text=True, check=True).stdout


class MeasuredProcess:
    """A child process whose CPU time is known once it has ended, and its peak memory where that was asked for.

    `getrusage` would count the starting process' own memory as the child's; /proc's VmHWM does not, but is gone with the
    process, so it is sampled: not while time is measured.
    """

    def __init__(self, command, environment, log, sample_memory=False):
        self.log = pathlib.Path(log)
        self.started = time.time()
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._limit = threading.Timer(LONGEST_SECONDS, self._kill)
        self._limit.daemon = True
        self._limit.start()
        self.ended = self.cpu_seconds = None
        self.peak_mib = 0.0
        self._sampler = None
        if sample_memory:
            self._sampler = threading.Thread(target=self._sample, daemon=True)
            self._sampler.start()

    def wait(self) -> "MeasuredProcess":
        if self.ended is None:
            _, status, usage = os.wait4(self.process.pid, 0)
            self.ended = time.time()
            self._limit.cancel()
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds = usage.ru_utime + usage.ru_stime
        return self

    def expect_success(self, *codes) -> "MeasuredProcess":
        """Ends the measurement with the log unless the exit code is 0, or one of `codes`."""
        self.wait()
        if self.process.returncode not in (codes or (0,)):
            sys.exit(f"{self.process.args[0]} ended with {self.process.returncode}:\n{self.end_of_log()}")
        return self

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def runs(self) -> bool:
        """Without taking the end from `wait`."""
        no_end = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self.ended is None and os.waitid(os.P_PID, self.process.pid, no_end) is None

    def stop(self):
        """SIGTERM, and until the process has ended."""
        if self.ended is None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.wait()

    def _kill(self):
        if self.runs():
            os.kill(self.process.pid, signal.SIGKILL)

    def _sample(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status")
        while self.ended is None:
            try:
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        self.peak_mib = max(self.peak_mib, int(line.split()[1]) / 1024)
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(MEMORY_SAMPLE_SECONDS)


class Tool:
    """One catalog and two keys: `old`, under which tables are sealed, and `new`."""

    def __init__(self, directory, *tables, column="api_key_encrypted"):
        self.directory = pathlib.Path(directory)
        self.old, self.new = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v2")
        self.catalog = self.directory / "encrypted-tables.yaml"
        entries = "".join(f"  - name: {table}\n    encrypted_columns: [{column}]\n" for table in tables)
        self.catalog.write_text(f"tables:\n{entries}ignore: []\n")

    def environment(self, database_url, redis_url=None) -> dict:
        found = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "DATABASE_URL": database_url,
            "SECRETS_ENCRYPTION_KEY": self.new.setting,
            "SECRETS_ENCRYPTION_KEY_PREVIOUS": self.old.setting,
        }
        return found | ({"REDIS_URL": redis_url} if redis_url else {})

    def start(self, command, *arguments, database_url, redis_url=None, sample_memory=False) -> MeasuredProcess:
        return MeasuredProcess(
            [binary_path(), command, "--catalog", self.catalog, *arguments],
            self.environment(database_url, redis_url),
            self.directory / f"{command}.log",
            sample_memory,
        )

    @contextlib.contextmanager
    def running(self, command, *arguments, **servers):
        process = self.start(command, *arguments, **servers)
        try:
            yield process
        finally:
            process.stop()
