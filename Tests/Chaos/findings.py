"""What was found wrong, the faults that were injected, and how long it took until work went on."""

import collections
import statistics
import threading
import time


class Findings:
    def __init__(self, log_path, patience=1.0):
        """`patience`: by how much limits of recovery are stretched where a machine is shared and no judge of time."""
        self._patience = patience
        self._mutex = threading.Lock()
        self._log = open(log_path, "a", encoding="utf-8", buffering=1)
        self._began = time.monotonic()
        self.violations = []
        self.faults = collections.Counter()
        self.recoveries = collections.defaultdict(list)
        self.limits = {}
        self.by_kind = collections.Counter()
        self.skipped = {}
        self.notes = collections.Counter()

    def say(self, text):
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._began:8.2f} {text}"
        with self._mutex:
            self._log.write(line + "\n")

    def violation(self, kind, text):
        with self._mutex:
            self.violations.append((kind, text))
            self.by_kind[kind] += 1
        self.say(f"VIOLATION ({kind}): {text}")
        print(f"VIOLATION ({kind}): {text[:2000]}", flush=True)

    def fault(self, kind):
        with self._mutex:
            self.faults[kind] += 1

    def recovered(self, kind, seconds, limit):
        """A recovery that was measured; beyond its limit it is a violation."""
        limit = None if limit is None else limit * self._patience
        with self._mutex:
            self.recoveries[kind].append(seconds)
            self.limits[kind] = limit
        if limit is not None and seconds > limit:
            self.violation(kind, f"work went on after {seconds:.2f} s, the limit is {limit:g} s")

    def note(self, what):
        with self._mutex:
            self.notes[what] += 1

    def skip(self, kind, reason):
        with self._mutex:
            self.skipped[kind] = reason

    def table(self) -> str:
        """Markdown: a line for each kind."""
        lines = ["| fault | number | recoveries measured | median s | max s | limit s | violations |",
                 "|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
        for kind in sorted(set(self.faults) | set(self.by_kind)):
            measured = self.recoveries[kind]
            numbers = "– | –"
            if measured:
                numbers = f"{statistics.median(measured):.2f} | {max(measured):.2f}"
            limit = self.limits.get(kind)
            lines.append(
                f"| {kind} | {self.faults[kind]} | {len(measured)} | {numbers} | "
                f"{'–' if limit is None else f'{limit:g}'} | {self.by_kind[kind]} |"
            )
        for kind, reason in sorted(self.skipped.items()):
            lines.append(f"| {kind} | skipped: {reason} | | | | | |")
        lines.append(
            f"| **all, {len(self.faults)} kinds** | **{sum(self.faults.values())}** | "
            f"**{sum(map(len, self.recoveries.values()))}** | | | | **{len(self.violations)}** |"
        )
        return "\n".join(lines)
