"""Searches the memory of a live process: everything that a core dump of it would hold, and more.

A core leaves out what is marked so; this reads every readable mapping, which is the stricter question.
"""

import pathlib
import re

_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$")
_UNREADABLE = ("[vvar]", "[vsyscall]", "[vvar_vclock]")
_BLOCK = 1 << 20


def mappings_that_hold(pid: int, needle: bytes) -> list:
    """The names of the mappings of `pid` in which `needle` stands, with how often."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end, flags, name = _MAPPING.match(line).groups()
            if not flags.startswith("r") or name in _UNREADABLE:
                continue
            count = _count(memory, int(start, 16), int(end, 16), needle)
            if count:
                found.append((name or "anonymous", count))
    return found


def _count(memory, position: int, end: int, needle: bytes) -> int:
    count, tail = 0, b""
    memory.seek(position)
    while position < end:
        try:
            block = memory.read(min(_BLOCK, end - position))
        except OSError:  # a page that has gone, or a device
            return count
        if not block:
            return count
        position += len(block)
        count += (tail + block).count(needle)
        tail = block[-(len(needle) - 1):]
    return count
