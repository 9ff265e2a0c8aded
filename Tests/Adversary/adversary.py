"""A machine that tries to make exit code 0 false. See README.md; started by scripts/adversary.

    adversary.py --seed N --minutes M
    adversary.py --seed N --round R [--round R …]        the same rounds again
    adversary.py --only ACTION --command COMMAND         one kind of deed, one command
"""

import argparse
import collections
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "scripts/support"), str(REPOSITORY / "Tests/EndToEnd")]

import deed  # noqa: E402
import deeds_of_fences  # noqa: E402,F401  registers its deeds, as the next ones do
import deeds_of_foreign_code  # noqa: E402,F401
import deeds_of_hiding  # noqa: E402,F401
import deeds_of_names  # noqa: E402,F401
import deeds_of_rewriting  # noqa: E402,F401
import deeds_of_rows  # noqa: E402,F401
from adversary_database import SETTINGS  # noqa: E402
from game import COMMANDS, Game  # noqa: E402
from private_postgres import PrivatePostgres  # noqa: E402
from private_redis import PrivateRedis  # noqa: E402
from private_server import scratch_parent  # noqa: E402
from support.rotation_tool import binary_path  # noqa: E402

# How long an application's statement may wait because of `verify`.
LONGEST_WAIT_SECONDS = 1.0


class Tally:
    def __init__(self):
        self.deeds = collections.defaultdict(collections.Counter)
        self.verdicts = collections.defaultdict(collections.Counter)
        self.judgements = collections.Counter()
        self.disagreements = []
        self.broken = []
        self.waits = collections.defaultdict(float)
        self.rounds = 0
        self._mutex = threading.Lock()

    def take(self, game, patience, is_broken) -> bool:
        """Whether there is something to be kept of this round."""
        with self._mutex:
            known = len(self.disagreements)
            self._take(game, patience)
            if is_broken:
                self.broken.append(game.number)
            return is_broken or len(self.disagreements) > known

    def _take(self, game, patience):
        self.rounds += 1
        for one in game.deeds:
            if one.began_at is None:
                state = "its moment never came"
            elif one.error is not None:
                state = "refused by the server"
            else:
                state = "done"
            self.deeds[one.kind.name][state] += 1
        for result in game.results:
            self.verdicts[result.command][result.code] += 1
            self.judgements[result.judgement.verdict] += 1
            if result.judgement.verdict == "disagreement":
                self._disagree(game, f"{result.command} ended with {result.code}: {result.judgement.reason}")
        wait = game.longest_wait
        self.waits[game.command] = max(self.waits[game.command], wait)
        if game.command in deed.VERIFICATIONS and wait > LONGEST_WAIT_SECONDS * patience:
            self._disagree(game, f"an application's statement waited {wait:.2f} s behind {game.command}: {game.wait_behind}")

    def _disagree(self, game, text):
        self.disagreements.append((game.number, game.deeds_in_words, text))
        print(f"DISAGREEMENT in round {game.number}: {game.deeds_in_words}\n    {text}", flush=True)

    def table(self) -> str:
        lines = ["| deed | done | refused by the server | its moment never came |", "|---|---:|---:|---:|"]
        for name in sorted(self.deeds):
            counts = self.deeds[name]
            lines.append(f"| {name} | {counts['done']} | {counts['refused by the server']} | {counts['its moment never came']} |")
        total = collections.Counter()
        for counts in self.deeds.values():
            total.update(counts)
        lines.append(f"| **all, {len(self.deeds)} kinds** | **{total['done']}** | **{total['refused by the server']}** | "
                     f"**{total['its moment never came']}** |")  # fmt: skip
        lines += ["", "| command | exit code: times | longest wait of an application behind it |", "|---|---|---:|"]
        for command in sorted(self.verdicts):
            codes = ", ".join(f"{code}: {count}" for code, count in sorted(self.verdicts[command].items()))
            wait = f"{self.waits[command]:.2f} s" if command in self.waits else "–"
            lines.append(f"| {command} | {codes} | {wait} |")
        return "\n".join(lines)


class Lane(threading.Thread):
    """Plays one round after the other on servers of its own."""

    def __init__(self, number, numbers, arguments, folder, tally, end):
        super().__init__(daemon=True)
        self.arguments, self.folder, self.tally, self.end = arguments, folder, tally, end
        self.numbers, self.place = numbers, folder / f"lane-{number}"

    def run(self):
        self.place.mkdir(exist_ok=True)
        self.place.chmod(0o755)
        with PrivatePostgres(self.place / "pg", SETTINGS) as server, PrivateRedis(self.place / "redis") as redis:
            while (number := next(self.numbers, None)) is not None:
                if not self.arguments.round and time.monotonic() > self.end:
                    return
                self._play(server, redis, number)

    def _play(self, server, redis, number):
        arguments, tally = self.arguments, self.tally
        round_folder = self.folder / f"round-{number}"
        game = Game(server, redis, round_folder, arguments.seed, number, arguments)
        is_broken = False
        try:
            game.play()
        except Exception:  # pylint: disable=broad-except
            is_broken = True
            game.log(traceback.format_exc())
            print(f"round {number} could not be played:\n{traceback.format_exc()}", flush=True)
        if tally.take(game, arguments.patience, is_broken) or arguments.keep:
            game.write_log(self.folder / f"round-{number}.sql")
        if arguments.verbose:
            print("\n".join(game.summary()), flush=True)
        shutil.rmtree(round_folder, ignore_errors=True)


def play(arguments, folder, tally):
    numbers = iter(arguments.round) if arguments.round else iter(range(1, 1_000_000))
    end = time.monotonic() + arguments.minutes * 60
    lanes = [Lane(n, numbers, arguments, folder, tally, end) for n in range(1 if arguments.round else arguments.lanes)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()


def again(arguments) -> str:
    """The options that make the same rounds."""
    words = [f"--seed {arguments.seed}"]
    words += [f"--only {arguments.only!r}"] if arguments.only else []
    words += [f"--command {arguments.command!r}"] if arguments.command else []
    return " ".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: chosen at random, and printed")
    parser.add_argument("--round", type=int, action="append", help="play this round alone; may be given several times")
    parser.add_argument("--only", default=None, help="deeds whose name contains this text")
    parser.add_argument("--command", choices=list(COMMANDS), default=None)
    parser.add_argument("--lanes", type=int, default=2, help="rounds at the same time, each on servers of its own")
    parser.add_argument("--folder", type=pathlib.Path, default=None, help="where logs go (default: a temporary one)")
    parser.add_argument("--patience", type=float, default=1.0, help="stretches the limit of an application's wait")
    parser.add_argument("--keep", action="store_true", help="keep the SQL log of every round")
    parser.add_argument("--verbose", action="store_true", help="a line for each command")
    parser.add_argument("--list", action="store_true", help="print the deeds and end")
    arguments = parser.parse_args()
    if arguments.list:
        for kind in sorted(deed.KINDS.values(), key=lambda kind: kind.name):
            print(f"{kind.name}  ({kind.effect}; {', '.join(kind.commands)})")
        return
    if arguments.only and not any(arguments.only in name for name in deed.KINDS):
        parser.error(f"no deed has {arguments.only!r} in its name; --list prints them")
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(1_000_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="reencrypt-adversary-", dir=scratch_parent()))
    folder.mkdir(exist_ok=True, parents=True)
    folder.chmod(0o755)
    version = subprocess.run([str(binary_path()), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes, version {version}, logs in {folder}", flush=True)
    began = time.monotonic()
    tally = Tally()
    play(arguments, folder, tally)
    print(f"\n{tally.table()}\n")
    print(f"{tally.rounds} rounds in {(time.monotonic() - began) / 60:.1f} minutes; judgements: "
          f"{', '.join(f'{name} {count}' for name, count in sorted(tally.judgements.items()))}")  # fmt: skip
    print(f"an application's statement waited {max([tally.waits[c] for c in deed.VERIFICATIONS], default=0):.2f} s at most "
          "behind verify")  # fmt: skip
    print(f"seed: {arguments.seed}")
    for number, names, text in tally.disagreements:
        print(f"round {number}: {names}: {text}")
    if tally.disagreements or tally.broken:
        print(f"{len(tally.disagreements)} disagreements, {len(tally.broken)} rounds that could not be played; "
              f"SQL and output are in {folder}; again: {again(arguments)} --round N")  # fmt: skip
        sys.exit(1)
    print("no disagreement")
    if arguments.folder is None and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
