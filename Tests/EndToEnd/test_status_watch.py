"""`status --watch` as a person sees it, on a terminal, and as a log has it."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

from support.rotation_tool import binary_path
from support.waiting import wait_until

COLUMNS, ROWS = 90, 24


class Terminal:
    """A terminal of a fixed size with a program on it, and what it shows."""

    def __init__(self, arguments, environment):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [str(binary_path()), *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self._bytes = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        while True:
            try:
                got = os.read(self._ours, 65_536)
            except OSError:  # the program has closed its side
                return
            self._bytes += got

    def screen(self) -> str:
        """All lines ever shown that have not been drawn over."""
        lines, row = [""], 0
        text = self._bytes.decode(errors="replace")
        for token in re.findall(r"\x1b\[\d*[A-Z]|[^\x1b\r\n]+|\r|\n", text):
            if token == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
            elif token == "\r":
                pass
            elif token == "\x1b[J":
                lines[row:] = [""]
            elif token.endswith("A"):
                row -= int(token[2:-1])
                assert row >= 0, "the cursor is moved above the first line"
            else:
                assert len(token) <= COLUMNS, f"a line wraps: {token}"
                lines[row] = token
        return "\n".join(lines)

    def end(self, timeout=20) -> int:
        code = self.process.wait(timeout)
        self._reader.join()
        os.close(self._ours)
        return code


@contextlib.contextmanager
def job_half_done(database, queue, queue_tool):
    """A job that ends when the block does, all its processes with success."""
    application = database.connect("application")
    application.cursor().execute("SELECT FROM llm_providers WHERE id = 1500 FOR UPDATE")
    coordinator = queue_tool.coordinator("--batch-size", 100)
    worker = queue_tool.worker("--exit-when-done")
    queue.wait_until_done(1_000)
    yield
    application.rollback()
    coordinator.wait(60).expect(0)
    worker.wait(20).expect(0)


def test_on_a_terminal_one_picture_is_drawn_over_the_other(database, queue, queue_tool, table):
    with job_half_done(database, queue, queue_tool):
        terminal = Terminal(["status", "--watch", "--queue", queue.name], queue_tool.environment())
        wait_until(lambda: "█" in terminal.screen() and "job started" in terminal.screen(), "bars and events are drawn")
        queue_tool.command("pause").expect(0)
        wait_until(lambda: ", paused" in terminal.screen(), "the pause is seen")
        queue_tool.command("resume").expect(0)
    assert terminal.end() == 0
    screen = terminal.screen()
    assert screen.count(f"on queue {queue.name}: ") == 1, screen
    assert ": complete" in screen and "100.0 % 2,000 of 2,000" in screen, screen


def test_elsewhere_a_line_says_what_changes(database, queue, queue_tool, table):
    with job_half_done(database, queue, queue_tool):
        watch = queue_tool.start("status", "--watch", catalog=False)
        wait_until(lambda: "draining" in watch.stdout_so_far(), "the first line")
        queue_tool.command("pause").expect(0)
        wait_until(lambda: ", paused" in watch.stdout_so_far(), "the pause is seen")
        queue_tool.command("resume").expect(0)
    lines = watch.wait(20).expect(0).stdout.splitlines()
    line = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Job \w+: \w+, \d+ of \d+ records")
    assert all(map(line.match, lines)) and len(lines) < 20, lines
    assert ": complete, 2000 of 2000" in lines[-1], lines
