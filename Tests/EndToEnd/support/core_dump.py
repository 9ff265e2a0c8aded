"""Core dumps of a live process, and a search for many secrets in one."""

import pathlib
import subprocess

_PAGE = 4096
_ZEROS = bytes(_PAGE)
WINDOW = 16


def take(process, folder: pathlib.Path) -> bytes:
    """Makes `process` dumpable, as somebody who may trace it would, has gdb dump its core and ends it.

    gdb leaves out what the kernel's own dump leaves out (`dump-excluded-mappings` is off), works wherever the kernel
    sends cores, and needs no right to raise the process's limit of 0 bytes. It adds the registers of each thread.
    """
    path = folder / "core.worker"
    # The other threads stay where they are while one makes the call, and a SIGSTOP that awaits it does not end it.
    steps = ("handle SIGSTOP nostop noprint nopass", "set scheduler-locking on", "call (int)prctl(4, 1, 0, 0, 0)", f"gcore {path}")
    outcome = subprocess.run(
        ["gdb", "--batch", "-nx", "--readnever", "-p", str(process.pid), *(word for step in steps for word in ("-ex", step))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 0 and "$1 = 0" in said and "Saved corefile" in said, said[-2000:]
    process.kill()
    content = path.read_bytes()
    path.unlink()
    return content


def found_windows(content: bytes, windows: set) -> set:
    """Which of very many byte strings of `WINDOW` bytes stand in `content`, at any offset that is a multiple of 4."""
    pages = [content[start : start + _PAGE] for start in range(0, len(content), _PAGE)]
    used = b"".join(page for page in pages if page != _ZEROS)
    found = set()
    for offset in range(0, WINDOW, 4):
        found |= windows.intersection(
            used[start : start + WINDOW] for start in range(offset, len(used), WINDOW)
        )
    return found
