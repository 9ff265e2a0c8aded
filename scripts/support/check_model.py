"""Checks the model of the queue and of its fence (docs/model) exhaustively with spin.

The models have to hold under every combination of faults that is listed here, and have to fail as soon as one guarantee
is switched off: a check that cannot fail shows nothing. A search that was cut short is an error.

    check_model.py [--only TEXT] [--jobs 2] [--wide]

Needs spin and gcc. Takes about a minute on two cores, and less than 1 GB; with `--wide` (more faults at once) some minutes
and 1.5 GB.
"""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile
import time

MODELS = pathlib.Path(__file__).resolve().parents[2] / "docs/model"
MEMORY_MB = 1500  # a search; those of every run take up to 300


@dataclasses.dataclass(frozen=True)
class Check:
    """One search: a model under switches, and the failure it has to find; none where the model has to hold."""

    model: str
    switches: str = ""
    failure: str = ""

    @property
    def is_progress(self) -> bool:
        return "PROGRESS" in self.switches


LOOKED, COUNTED, TWICE, LEFT = (
    "assertion violated (looked_in[", "assertion violated (redis.batches_total==", "assertion violated  !(redis.handed_out[",
    "assertion violated ( !(old[0])",
)  # fmt: skip
STUCK = "invalid end state"
QUIET = "LOSSES=0 REWRITES=0 DEATHS=0 LOST_ANSWERS=0 EXPIRIES=0"

CHECKS = [
    # Every fault with every other one, as far as the search stays small.
    Check("queue", f"{QUIET} RESTARTS=1"),
    Check("queue", "LOSSES=0"),
    Check("queue", "LOST_ANSWERS=0 DEATHS=0 EXPIRIES=0"),
    Check("queue", "REWRITES=0 DEATHS=0 EXPIRIES=0"),
    Check("queue", "REWRITES=0 LOST_ANSWERS=0 DEATHS=0"),
    Check("queue", "REWRITES=0 LOST_ANSWERS=0 EXPIRIES=0"),
    Check("queue", "REWRITES=0 LOST_ANSWERS=0 DEATHS=0 EXPIRIES=0 RESTARTS=1"),
    Check("fence"),
    # Everything that may happen ends, if everybody gets his turn.
    Check("queue", "PROGRESS LOSSES=0 LOST_ANSWERS=0"),
    Check("queue", f"PROGRESS {QUIET.replace('LOSSES=0 ', '')}"),
    Check("queue", f"PROGRESS {QUIET} RESTARTS=1 LOST_ANSWERS=1"),
    Check("fence", "PROGRESS"),
    # Without one guarantee the failure is found.
    Check("queue", "NO_GENERATION DEATHS=0 EXPIRIES=0", LOOKED),
    Check("queue", "NO_PAYLOAD RESTARTS=1 DEATHS=0 EXPIRIES=0 LOST_ANSWERS=0 REWRITES=0", LOOKED),
    Check("queue", "NO_FIRST_ONLY LOSSES=0", COUNTED),
    Check("queue", "NO_PUSH_NUMBER LOSSES=0", TWICE),
    Check("queue", "NO_LOSS_CHECK REWRITES=0 DEATHS=0 EXPIRIES=0 LOST_ANSWERS=0", STUCK),
    Check("queue", "NO_SWEEP_LOOP LOSSES=0", LEFT),
    Check("queue", "NO_SERVER_CLOCK LOSSES=0 REWRITES=0", STUCK),
    Check("queue", "NO_REAPER LOSSES=0 REWRITES=0", STUCK),
    Check("queue", "PROGRESS NO_REAPER LOSSES=0 REWRITES=0", "acceptance cycle"),
    Check("fence", "NO_JOB_CHECK", "rollback_runs"),
    Check("fence", "NO_GATE", "rollback_runs"),
    Check("fence", "NO_TABLE_LOCK", "rollback_runs"),
    Check("fence", "NO_ROW_LOCK", "content==committed_content"),
    Check("fence", "NO_TOKEN", "proven[queued_job]"),
    Check("fence", "NO_TERMINATE", STUCK),
    Check("fence", "PROGRESS NO_TERMINATE", "acceptance cycle"),
]

WIDE = [
    Check("queue", "LOSSES=0 RESTARTS=1"),
    Check("queue", "LOST_ANSWERS=0 DEATHS=0 EXPIRIES=0 RESTARTS=1"),
    Check("queue", "DEATHS=0 REWRITES=0"),
    Check("queue", "DEATHS=0 EXPIRIES=0"),
]


def defines(switches) -> list:
    values = dict(switch.partition("=")[::2] for switch in switches.split())  # the last one of a name stands
    return [f"-D{name}={value}" if value else f"-D{name}" for name, value in values.items()]


def run(command, folder) -> str:
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{outcome.stdout}{outcome.stderr}")
    return outcome.stdout + outcome.stderr


def search(check) -> tuple:
    """What the search found ('' for nothing), and how many states it saw."""
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        run(["spin", *defines(check.switches), "-a", MODELS / f"{check.model}.pml"], folder)
        kind = ["-DNFAIR=3"] if check.is_progress else ["-DSAFETY"]
        run(["gcc", "-O2", "-w", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}", *kind, "-o", "pan", "pan.c"], folder)
        arguments = ["-a", "-f"] if check.is_progress else []
        output = run(["./pan", "-m200000", "-w22", "-n", *arguments], folder)
    states = int(re.search(r"(\d+) states, stored", output).group(1))
    found = re.search(r"^pan:1: (.*)", output, re.MULTILINE)
    cut = re.search(r"Search not completed|max search depth too small|MEMLIM bound", output)
    if found:
        return found.group(1), states
    if cut or "errors: 0" not in output:
        raise SystemExit(f"{check}: the search was cut short:\n{output}")
    return "", states


def judged(check) -> tuple:
    began = time.monotonic()
    found, states = search(check)
    is_right = check.failure in found if check.failure else not found
    name = f"{check.model:6} {check.switches or '-'}"
    result = found or "holds"
    if not is_right:
        result = f"{result}   WANTED: {check.failure or 'holds'}"
    return is_right, f"{name:88} {states:>9,} states {time.monotonic() - began:5.1f} s  {result}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="those whose model or switches have this text")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--wide", action="store_true", help="only the searches with more faults at once")
    options = parser.parse_args()
    chosen = [check for check in (WIDE if options.wide else CHECKS) if options.only in f"{check.model} {check.switches}"]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for is_right, line in pool.map(judged, chosen):
            print(line, flush=True)
            wrong += not is_right
    print(f"{len(chosen)} searches, {wrong} not as they have to be")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
