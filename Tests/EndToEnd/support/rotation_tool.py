"""The product's binary as a process: its settings, its output, its end.

Nothing is inherited: the environment is made here, the working directory is the test's own. Whatever happens, the
process is ended by its pid before the test is over.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (TRACE|DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL) (.*)$")
DEFAULT_TIMEOUT_SECONDS = 60
SAMPLE_SECONDS = 0.02
SHOWN_OUTPUT_CHARACTERS = 6_000


def binary_path() -> pathlib.Path:
    return pathlib.Path(os.environ.get("REENCRYPT_BINARY", REPOSITORY / ".build/release/reencrypt-secrets"))


def catalog_yaml(tables, ignore=()) -> str:
    """The catalog file; JSON's strings are YAML's double-quoted ones."""

    def scalar(text):
        return json.dumps(text, ensure_ascii=False)

    lines = ["tables:" if tables else "tables: []"]
    for table in tables:
        lines.append(f"  - name: {scalar(table['name'])}")
        if "id_column" in table:
            key = table["id_column"]
            listed = scalar(key) if isinstance(key, str) else "[" + ", ".join(map(scalar, key)) + "]"
            lines.append(f"    id_column: {listed}")
        lines.append("    encrypted_columns: [" + ", ".join(map(scalar, table["encrypted_columns"])) + "]")
    lines.append("ignore: [" + ", ".join(map(scalar, ignore)) + "]")
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class LogLine:
    time: str
    level: str
    message: str


@dataclasses.dataclass
class Outcome:
    """What a process left behind when it ended."""

    arguments: list
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    peak_memory_kib: int
    command_lines: set
    report_path: pathlib.Path = None

    @property
    def report(self) -> dict:
        assert self.report_path is not None, "this command was not asked for a report"
        assert self.report_path.exists(), f"no report was written\n{self}"
        return json.loads(self.report_path.read_text(encoding="utf-8"))

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def log(self) -> list:
        """The text log, line by line; lines of another form are left out."""
        return [LogLine(*match.groups()) for match in map(LOG_LINE.match, self.stderr.splitlines()) if match]

    @property
    def messages(self) -> list:
        return [line.message for line in self.log]

    def expect(self, *exit_codes) -> "Outcome":
        assert self.exit_code in exit_codes, f"exit code {self.exit_code}, expected {exit_codes}\n{self}"
        return self

    def expect_refusal(self, *words, exit_codes=(1,)) -> "Outcome":
        """A clear refusal: the exit code, and every word (of a tuple: any of them) in what it says."""
        self.expect(*exit_codes)
        said = self.output.lower()
        for word in words:
            choices = (word,) if isinstance(word, str) else word
            assert any(choice.lower() in said for choice in choices), f"says nothing of {choices}\n{self}"
        return self

    def __str__(self):
        def end(text):
            return text if len(text) <= SHOWN_OUTPUT_CHARACTERS else "…" + text[-SHOWN_OUTPUT_CHARACTERS:]

        return (
            f"$ reencrypt-secrets {' '.join(self.arguments)}   → {self.exit_code} after {self.seconds:.1f} s\n"
            f"--- stdout\n{end(self.stdout)}\n--- stderr\n{end(self.stderr)}"
        )


class ToolProcess:
    """A started process. Its output goes to files, so that no full pipe can stall it."""

    def __init__(self, command, environment, directory, report_path, name, user=None, stderr=None):
        self._stdout = directory / f"{name}.stdout"
        self._stderr = directory / f"{name}.stderr"
        self._report_path = report_path
        self._started = time.monotonic()
        self.arguments = command[1:]
        self.command_lines = set()
        self.peak_memory_kib = 0
        with open(self._stdout, "wb") as out, open(self._stderr, "wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err if stderr is None else stderr,
                start_new_session=True,
                **({} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}),
            )
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _sample(self):
        """Command line and peak memory while it runs: neither can be asked for afterwards."""
        folder = pathlib.Path(f"/proc/{self.process.pid}")
        while self.process.returncode is None:
            try:
                self.command_lines.add((folder / "cmdline").read_bytes())
                peak = re.search(r"^VmHWM:\s+(\d+) kB", (folder / "status").read_text(), re.M)
                if peak:
                    self.peak_memory_kib = max(self.peak_memory_kib, int(peak.group(1)))
            except (OSError, ValueError):
                return
            time.sleep(SAMPLE_SECONDS)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def stdout_so_far(self) -> str:
        return self._stdout.read_text(encoding="utf-8", errors="replace")

    def stderr_so_far(self) -> str:
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def send(self, signal_number):
        os.kill(self.process.pid, signal_number)

    def wait(self, timeout=DEFAULT_TIMEOUT_SECONDS) -> Outcome:
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {timeout} s, killed\n{self._outcome()}") from None
        return self._outcome()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def _outcome(self) -> Outcome:
        self._sampler.join(5)
        return Outcome(
            arguments=self.arguments,
            exit_code=self.process.returncode,
            stdout=self._stdout.read_text(encoding="utf-8", errors="replace"),
            stderr=self._stderr.read_text(encoding="utf-8", errors="replace"),
            seconds=time.monotonic() - self._started,
            peak_memory_kib=self.peak_memory_kib,
            command_lines=self.command_lines,
            report_path=self._report_path,
        )


class RotationTool:
    """The binary with the settings of one test: database, keys, catalog, working directory."""

    def __init__(self, directory, database_url, primary, previous=()):
        self.directory = pathlib.Path(directory)
        self.database_url = database_url
        self.primary = primary
        self.previous = list(previous)
        self.catalog = self.directory / "catalog.yaml"
        self._processes = []
        self._number = 0

    # MARK: settings

    def environment(self, **changes) -> dict:
        """The tool's whole environment; a change to None takes the variable out."""
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "DATABASE_URL": self.database_url,
            "SECRETS_ENCRYPTION_KEY": self.primary.setting,
        }
        if self.previous:
            environment["SECRETS_ENCRYPTION_KEY_PREVIOUS"] = ",".join(key.setting for key in self.previous)
        for name, value in os.environ.items():
            if name.startswith(("LLVM_PROFILE", "ASAN_", "TSAN_")):
                environment[name] = value
        environment.update(changes)
        return {name: value for name, value in environment.items() if value is not None}

    def write_catalog(self, *tables, ignore=()):
        """`tables`: SecretsTable objects or catalog entries."""
        entries = [table if isinstance(table, dict) else table.catalog_entry for table in tables]
        self.catalog.write_text(catalog_yaml(entries, ignore), encoding="utf-8")

    # MARK: commands

    def start_command(self, *arguments, environment=None, user=None, stderr=None, report_path=None) -> ToolProcess:
        self._number += 1
        # Where a test says nothing: the tool's own default, or what the test, or the whole session, runs in.
        order = os.environ.get("REENCRYPT_TEST_ORDER")
        if order and arguments[0] in ("run", "coordinator") and "--order" not in arguments:
            arguments = (*arguments, "--order", order)
        process = ToolProcess(
            [str(binary_path()), *map(str, arguments)],
            self.environment() if environment is None else environment,
            self.directory,
            report_path,
            f"process-{self._number}",
            user=user,
            stderr=stderr,
        )
        self._processes.append(process)
        return process

    def command(self, *arguments, timeout=DEFAULT_TIMEOUT_SECONDS, **options) -> Outcome:
        """Any command, exactly as given."""
        return self.start_command(*arguments, **options).wait(timeout)

    def start_run(self, *arguments, **options) -> ToolProcess:
        """`run` on this test's catalog, with a report."""
        report_path = self.directory / f"report-{self._number + 1}.json"
        command = ["run", "--catalog", self.catalog, "--report", report_path, *arguments]
        return self.start_command(*command, report_path=report_path, **options)

    def run(self, *arguments, timeout=DEFAULT_TIMEOUT_SECONDS, **options) -> Outcome:
        return self.start_run(*arguments, **options).wait(timeout)

    def kill_all(self):
        for process in self._processes:
            process.kill()
