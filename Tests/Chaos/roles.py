"""The processes under test, and the supervisor that starts each again when it has ended, as an operator's would."""

import ctypes
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

RESTART_SECONDS = 0.3
RESTART_AFTER_REFUSAL_SECONDS = 1.0
CRASH_SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE)
MEMORY_SECONDS = 1.0
# A process is judged once it has lived this long; what it needs to begin with is not counted as growth.
WARM_UP_SECONDS = 20
JUDGED_SECONDS = 60
ALLOWED_GROWTH_MEBIBYTES = 24
ALLOWED_MEBIBYTES = 200
# In the warnings of a coordinator that ends because it takes the queue for somebody else's.
GIVEN_UP = "moved on to another job"


# Loaded before any fork: little may be done between fork and exec in a process of many threads.
_libc = ctypes.CDLL(None)


def _die_with_supervisor():
    pr_set_pdeathsig = 1
    _libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


def forget_fake_clock(pid):
    """What libfaketime leaves behind of a process that was killed."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        pathlib.Path("/dev/shm", name).unlink(missing_ok=True)


class Role:
    """One place in the system: its command, its environment, the process that fills it now."""

    def __init__(self, name, command, environment, folder, binary):
        self.name, self.command, self.environment, self.binary = name, command, environment, binary
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self.process = None
        self.is_wanted = False
        self.started = 0.0
        self.restart_at = 0.0
        self.is_frozen = False
        self.occupations = 0
        self.was_killed = False
        self.memory = []
        self.mutex = threading.RLock()

    @property
    def pid(self):
        return self.process.pid if self.process is not None else None

    @property
    def is_busy(self) -> bool:
        """A fault has it already; no other one takes it."""
        return self.occupations > 0

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self):
        with open(self.log_path, "ab") as log:
            log.write(f"--- {time.strftime('%H:%M:%S')} start of {self.binary.parent.name}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                [str(self.binary), *map(str, self.command)], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_die_with_supervisor,
            )  # fmt: skip
        self.started = time.monotonic()
        self.is_frozen = self.was_killed = False
        self.memory = []

    def send(self, number):
        if self.is_running():
            os.kill(self.process.pid, number)

    def kill(self):
        with self.mutex:
            self.was_killed = True
            if self.is_running():
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()

    def log_tail(self, lines=15) -> str:
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def resident_mebibytes(self):
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except (OSError, AttributeError):
            return None
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
        return int(found.group(1)) / 1024 if found else None


class Supervisor:
    def __init__(self, findings, on_end):
        self.findings = findings
        self.on_end = on_end
        self.roles = []
        self.largest_growth = 0.0
        self.largest_memory = 0.0
        self.judged = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join(10)
        for role in self.roles:
            role.is_wanted = False
            role.kill()
            if role.process is not None:
                role.process.wait(10)

    def _run(self):
        last_memory = 0.0
        while not self._stop.wait(0.03):
            for role in list(self.roles):
                with role.mutex:
                    self._look_after(role)
            if time.monotonic() - last_memory > MEMORY_SECONDS:
                last_memory = time.monotonic()
                for role in list(self.roles):
                    size = role.resident_mebibytes() if role.is_running() else None
                    if size is not None:
                        role.memory.append((time.monotonic() - role.started, size))

    def _look_after(self, role):
        if role.process is not None and role.process.poll() is not None:
            self._ended(role)
        if role.process is None and role.is_wanted and time.monotonic() >= role.restart_at:
            role.start()

    def _ended(self, role):
        code = role.process.returncode
        self.judge_memory(role)
        lived = time.monotonic() - role.started
        self.findings.say(f"{role.name} (pid {role.process.pid}) ended with {code} after {lived:.1f} s")
        if -code in CRASH_SIGNALS:
            self.findings.violation("crash", f"{role.name} ended by signal {-code}\n{role.log_tail()}")
        if code == 2 and GIVEN_UP in role.log_tail():
            # Started again it would go on, so that nothing else here would show it.
            self.findings.violation("end", f"{role.name} has left the queue's job to others\n{role.log_tail()}")
        delay = RESTART_AFTER_REFUSAL_SECONDS if code == 1 else RESTART_SECONDS
        forget_fake_clock(role.process.pid)
        role.process = None
        role.restart_at = time.monotonic() + delay
        self.on_end(role, code, lived)

    def judge_memory(self, role):
        """Memory is flat: what a process needs at its end is what it needed after its first seconds."""
        samples = [(age, size) for age, size in role.memory if age > WARM_UP_SECONDS]
        if not samples:
            return
        peak = max(size for _, size in samples)
        self.largest_memory = max(self.largest_memory, peak)
        if peak > ALLOWED_MEBIBYTES:
            self.findings.violation("memory", f"{role.name} needs {peak:.0f} MiB")
        if samples[-1][0] < JUDGED_SECONDS:
            return
        self.judged += 1
        third = max(1, len(samples) // 3)
        growth = max(size for _, size in samples[-third:]) - max(size for _, size in samples[:third])
        self.largest_growth = max(self.largest_growth, growth)
        if growth > ALLOWED_GROWTH_MEBIBYTES:
            self.findings.violation("memory", f"{role.name} has grown by {growth:.0f} MiB")
