"""The machine in a few words, without a name or a path that would tell whose it is."""

import os
import pathlib
import platform
import re


def describe() -> dict:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": f"{memory_mib() / 1024:.0f} GiB",
        "disk": _disk(),
        "system": f"{_system()}, Linux {platform.release().split('-')[0]}",
    }


def load() -> float:
    """How busy it is: an average of one minute. What is measured while others work is worth less."""
    return os.getloadavg()[0]


def memory_mib() -> int:
    return int(re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo")).group(1)) // 1024


def _processor() -> str:
    names = re.findall(r"^(?:model name|Model)\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.M)
    virtual = ", virtual" if "hypervisor" in _read("/proc/cpuinfo") else ""
    return (names[0] if names else platform.machine()) + virtual


def _disk() -> str:
    """Of the folder for temporary files: file system, kind of device, and what a flush costs decides commits."""
    best = ("", "", "")
    for line in _read("/proc/mounts").splitlines():
        device, point, kind = line.split()[:3]
        if "/tmp".startswith(point.rstrip("/") or "/") and len(point) >= len(best[1]):
            best = (device, point, kind)
    device = pathlib.Path(best[0]).name
    rotational = _read(f"/sys/class/block/{device}/queue/rotational").strip()
    medium = "virtual disk" if device.startswith(("vd", "xvd")) else {"0": "solid state", "1": "rotating"}.get(rotational, "")
    return ", ".join(word for word in (best[2], medium) if word)


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="(.*)"$', _read("/etc/os-release"), re.M)
    return found.group(1) if found else platform.system()


def _read(path) -> str:
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""
