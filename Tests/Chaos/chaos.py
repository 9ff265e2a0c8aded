"""A long, seeded fault run over real processes and servers. See README.md; started by scripts/chaos.

    chaos.py --minutes N --seed S [--folder D]
    chaos.py --no-faults
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "scripts/support"), str(REPOSITORY / "Tests/EndToEnd")]

import faults_of_operation  # noqa: E402,F401  registers its faults, as the next ones do
import faults_of_postgres  # noqa: E402,F401
import faults_of_processes  # noqa: E402,F401
import faults_of_redis  # noqa: E402,F401
import faults_of_the_network  # noqa: E402,F401
from chaos_site import World  # noqa: E402
from deliveries import Deliveries  # noqa: E402
from envelope_reference import KeyEncryptionKey  # noqa: E402
from findings import Findings  # noqa: E402
from private_server import scratch_parent  # noqa: E402
from round import Round  # noqa: E402
from support.rotation_tool import binary_path  # noqa: E402

ROUND_SECONDS = 150
SHORTEST_ROUND_SECONDS = 20
REST_OF_A_ROUND_SECONDS = 25


def keys_of_rounds():
    """Key numbers: forward, forward, back. A rollback is a rotation to the former key."""
    target, old = 2, 1
    for number in range(1, 10_000):
        yield target, old
        if number % 3 == 2:
            target, old = old, target
        elif number % 3 == 0:
            target, old = max(target, old), min(target, old)
            target, old = target + 1, old
        else:
            target, old = target + 1, target


def second_binary(folder) -> pathlib.Path:
    """Another version where REENCRYPT_SECOND_BINARY names one, else the same under another path."""
    given = os.environ.get("REENCRYPT_SECOND_BINARY")
    if given:
        return pathlib.Path(given)
    other = folder / "second-version" / "reencrypt-secrets"
    other.parent.mkdir()
    shutil.copy(binary_path(), other)
    return other


def note_what_is_missing(world, findings):
    if not world.pg.has_small_tablespace:
        findings.skip("disk full", "only root may mount a small file system")
    if world.pooler is None:
        findings.skip("transaction pooler in between", "PgBouncer is not installed")
    if not world.has_fake_clock:
        findings.skip("clock of a worker jumps", "libfaketime is not installed")


def fault_run(arguments, folder, findings) -> World:
    binaries = binary_path(), second_binary(folder)
    world = World(folder, *binaries, findings, arguments.seed, arguments.rows, arguments.rate)
    end = time.monotonic() + arguments.minutes * 60
    try:
        world.start()
        note_what_is_missing(world, findings)
        keys = {1: world.keys[0]}
        for number, (target, old) in enumerate(keys_of_rounds(), 1):
            left = end - time.monotonic() - REST_OF_A_ROUND_SECONDS
            if number > 1 and left < SHORTEST_ROUND_SECONDS:
                break
            keys.setdefault(target, KeyEncryptionKey.generate(f"kek-v{target}"))
            seconds = max(SHORTEST_ROUND_SECONDS, min(ROUND_SECONDS, left))
            Round(world, number, keys[target], keys[old], seconds).run()
            findings.note("rounds")
            print(f"{time.strftime('%H:%M:%S')} round {number} ({keys[old].key_id} to {keys[target].key_id}): "
                  f"{sum(findings.faults.values())} faults so far, {len(findings.violations)} violations", flush=True)  # fmt: skip
    except Exception:  # pylint: disable=broad-except
        findings.violation("harness", traceback.format_exc())
    finally:
        world.close()
    return world


def summary(world, findings, began):
    supervisor, watch = world.supervisor, world.watch
    print(findings.table())
    print()
    if supervisor is not None:
        print(f"memory: at most {supervisor.largest_memory:.0f} MiB, grown by {supervisor.largest_growth:.1f} MiB at most "
              f"({supervisor.judged} processes that lived for a minute or more)")  # fmt: skip
    if watch is not None:
        print(f"queue: {watch.samples} samples of all counters, {len(watch.done_at)} batches seen, "
              f"{watch.expired} leases ran out")  # fmt: skip
        print(f"application: {world.application.written} rows written; "
              f"verdicts under faults by exit code: {world.verifier.verdicts}")  # fmt: skip
    for what, count in sorted(findings.notes.items()):
        print(f"{what}: {count}")
    print(f"duration: {(time.monotonic() - began) / 60:.1f} minutes")


def without_faults(folder, batches) -> int:
    deliveries = Deliveries(folder, binary_path(), batches)
    problems = deliveries.run()
    for problem in problems:
        print(f"VIOLATION (deliveries): {problem}")
    print(f"no faults: {deliveries.batches} batches, {deliveries.twice} delivered more than once")
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--rows", type=int, default=6000, help="rows of each of the three tables")
    parser.add_argument("--rate", type=float, default=15, help="transactions a second of each of the two writers")
    parser.add_argument("--folder", type=pathlib.Path, default=None, help="where logs go (default: a temporary one)")
    parser.add_argument("--no-faults", action="store_true", help="count deliveries instead")
    parser.add_argument("--patience", type=float, default=1.0, help="stretches the limits of recovery")
    parser.add_argument("--batches", type=int, default=10_000, help="with --no-faults")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(1_000_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="reencrypt-chaos-", dir=scratch_parent()))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    if arguments.no_faults:
        status = without_faults(folder, arguments.batches)
        if status == 0 and arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
        sys.exit(status)
    version = subprocess.run([str(binary_path()), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes, version {version}, logs in {folder}", flush=True)
    findings = Findings(folder / "chaos.log", arguments.patience)
    began = time.monotonic()
    world = fault_run(arguments, folder, findings)
    print()
    summary(world, findings, began)
    print(f"seed: {arguments.seed}")
    if findings.violations:
        print(f"{len(findings.violations)} violations; everything is kept in {folder}")
        sys.exit(1)
    print("no violation")
    if arguments.folder is None:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
