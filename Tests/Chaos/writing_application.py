"""An application that reads, updates, inserts and deletes under both keys: several writers, each a process."""

import multiprocessing
import signal
import time
import traceback

from chaos_tables import TABLES
from writer import Writer

_context = multiprocessing.get_context("fork")


def _process(pipe, number, writers, url, oracle, seed, rate):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    writer = Writer(number, writers, url, oracle, seed, rate)
    is_running = False
    try:
        while True:
            if not is_running or pipe.poll():
                try:
                    command, arguments = pipe.recv()
                except EOFError:
                    return
                if command == "run":
                    writer.set_keys(*arguments)
                    is_running = True
                elif command == "halt":
                    writer.halt()
                    is_running = False
                    pipe.send((writer.oracle, writer.findings, writer.written))
                    writer.findings = []
                continue
            began = time.monotonic()
            writer.step()
            time.sleep(max(0.0, writer.random.uniform(0.5, 1.5) / writer.rate - (time.monotonic() - began)))
    except BaseException:
        pipe.send((writer.oracle, writer.findings + [traceback.format_exc()], writer.written))


class Application:
    def __init__(self, url, oracle, seed, writers=2, rate=20.0):
        self.written = 0
        self._pipes, self._processes = [], []
        for number in range(writers):
            ours, theirs = _context.Pipe()
            process = _context.Process(
                target=_process, args=(theirs, number, writers, url, oracle, seed, rate), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, current, old, old_share):
        for pipe in self._pipes:
            pipe.send(("run", (current, old, old_share)))

    def halt(self, seconds=60):
        """Returns what was committed last, table → id → Row, and what the writers found wrong."""
        oracle, findings, written = {table.name: {} for table in TABLES}, [], 0
        for pipe in self._pipes:
            pipe.send(("halt", ()))
        for number, pipe in enumerate(self._pipes):
            if not pipe.poll(seconds):
                findings.append(f"writer {number} hangs")
                continue
            own, found, count = pipe.recv()
            for name, rows in own.items():
                oracle[name].update(rows)
            findings += found
            written += count
        self.written = written
        return oracle, findings

    def close(self):
        for process in self._processes:
            process.kill()
            process.join(10)
