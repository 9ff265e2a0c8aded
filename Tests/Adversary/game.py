"""One round: a database, a command of the tool, one or two deeds, and the judgement."""

import dataclasses
import random
import re
import signal
import time

import claims
import deed as deeds_module
import oracle
import schedule as schedule_module
from adversary_database import World
from adversary_tables import NEW, OLD
from deed import Deed, PATIENCE_SECONDS, chosen, fitting
from deeds_of_foreign_code import CALLED
from gate import Gate
from lock_watch import LockWatch
from reading_application import Application
from support.queue_process import Queue, QueueTool
from support.rotation_tool import RotationTool

COMMANDS = {"run": 5, "verify": 5, "fenced verify": 4, "fence add": 3, "dry run": 2, "coordinator": 3}
HANG_SECONDS = 120
WORKERS_GRACE_SECONDS = 3
POLL_SECONDS = 0.015


@dataclasses.dataclass
class Result:
    command: str
    code: int
    judgement: claims.Judgement
    seconds: float


class Game:
    def __init__(self, server, redis, folder, seed, number, settings):
        self.server, self.redis, self.folder, self.number = server, redis, folder, number
        self.settings = settings
        self.rng = random.Random(f"{seed} {number}")
        self.lines = []
        self.results = []
        self.outcomes = []
        self.deeds = []
        self.longest_wait, self.wait_behind = 0.0, ""
        self.gates = []
        self.part = ""

    def log(self, text):
        self.lines.append(f"{time.strftime('%H:%M:%S')}.{int(time.time() * 1000) % 1000:03d} {text}")

    @property
    def deeds_in_words(self) -> str:
        return "; ".join(f"{kind.name} ({schedule})" for kind, _, schedule in getattr(self, "chosen", []))

    def summary(self) -> list:
        return [f"round {self.number}: {result.command}: {result.code}, {result.judgement.verdict} "
                f"{result.judgement.reason} [{self.deeds_in_words}]" for result in self.results]  # fmt: skip

    # MARK: the round

    def play(self):
        rng = self.rng
        names = [name for name in COMMANDS if fitting(name, self.settings.only)]
        self.command = rng.choices(names, [COMMANDS[name] for name in names])[0]
        self.command = self.settings.command or self.command
        self.world = World(self.server, rng, self.log)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
            self._meet()
            self._afterwards()
        finally:
            self._close()

    def _prepare(self):
        rng, world = self.rng, self.world
        is_rotation = self.command in deeds_module.ROTATIONS
        self.is_fenced = self.command == "fenced verify" or (self.command == "fence add" and rng.random() < 0.5)
        rows = 2500 if rng.random() < 0.08 else rng.randint(60, 400)
        world.fill(rng, rows, not is_rotation)
        self._choose()
        self.options = {key: value for _, script, _ in self.chosen for key, value in script.options.items()}
        previous = [OLD] if self.options.get("previous", True) else []
        self.tool = RotationTool(self.folder, world.database.url, NEW, previous)
        self.catalog = [table.catalog_entry for table in world.tables]
        self.catalog += self.options.get("catalog", [])
        self.tool.write_catalog(*self.catalog, ignore=self.options.get("ignore", ()))
        if self.is_fenced or "fenced" in self.options:
            retired = [word for key in self.options.get("fenced", [OLD.key_id]) for word in ("--retired", key)]
            outcome = self.tool.command("fence", "add", "--catalog", self.tool.catalog, *retired)
            self.log(f"-- fence add {retired}: {outcome.exit_code} {outcome.stderr[-300:] if outcome.exit_code else ''}")
        if self.command in deeds_module.VERIFICATIONS and rng.random() < 0.4:
            world.plant(rng, self.is_fenced)
        for kind, script, schedule in self.chosen:
            self.log(f"-- deed: {kind.name}; {schedule}")
            self._before(script)

    def _choose(self):
        rng = self.rng
        count = 2 if rng.random() < 0.25 and not self.settings.only else 1
        self.chosen = []
        for _ in range(count):
            kind = chosen(rng, self.command, self.settings.only)
            if kind is None or kind in [one for one, *_ in self.chosen]:
                continue
            script = kind.make(self.world, rng)
            self.chosen.append((kind, script, schedule_module.chosen(rng, kind, script, self.command in ('run', 'coordinator'))))

    def _before(self, script):
        """What a script needs is there before the tool starts."""
        for statement in script.before:
            sql, parameters = statement if isinstance(statement, tuple) else (statement, None)
            self.log(sql[:300])
            try:
                self.world.execute(sql, parameters)
            except deeds_module.psycopg2.Error as error:
                self.log(f"-- {error}")

    # MARK: the tool at work

    def _meet(self):
        world = self.world
        self.log_offset = self.server.log.stat().st_size
        gate = self._gate()
        self.planned = []
        for kind, script, schedule in self.chosen:
            one = Deed(kind, script, world, schedule.prepares)
            self.deeds.append(one)
            self.planned.append((one, schedule))
            if schedule.begins == "before":
                self._begin(one, schedule)
            elif schedule.begins == "moment":
                gate.shut_at(schedule.moment, lambda one=one, schedule=schedule: self._begin_at_gate(one, schedule))
        self.truth_before = oracle.truth(world, self.catalog)
        for one, schedule in self.planned:
            if schedule.begins == "open":
                self._begin(one, schedule)
        watch = LockWatch(world, gate)
        application = Application(world, f"{self.number} application")
        watch.start()
        application.start()
        began = time.time()
        processes = self._start(gate)
        self._attend(processes, watch, began)
        self.look = gate.last_look_at_constraints if self.command == "fence add" else gate.last_snapshot
        for one, _ in self.planned:
            one.may_commit.set()
        for one, _ in self.planned:
            if one.began_at is not None or one.is_alive():
                one.join(40)
        watch.stop()
        application.stop()
        self.written = application.writes
        gate.close()
        self.longest_wait, self.wait_behind = watch.longest, watch.longest_behind
        for one, _ in self.planned:
            self.log(f"-- {one.kind.name}: effective {self._relative(one.effective_at)}, committed "
                     f"{self._relative(one.committed_at)}, error {one.error}; last look {self._relative(self.look)}")  # fmt: skip
        self.log(f"-- statements of the tool: {gate.counts}")
        self.trace = gate.trace

    def _relative(self, instant):
        return None if not instant else f"{time.strftime('%H:%M:%S', time.localtime(instant))}.{int(instant * 1000) % 1000:03d}"

    def _gate(self) -> Gate:
        rng = self.rng
        delay = rng.choice([0, 0, 0, 0.002, 0.01])
        if self.command in deeds_module.VERIFICATIONS and rng.random() < 0.3:
            delay = 0.02
        gate = Gate("127.0.0.1", self.server.port, delay)
        self.gates.append(gate)
        return gate

    def _begin(self, one, schedule):
        if schedule.begins == "before":
            one.may_commit.set()
        one.start()
        one.has_effect.wait(30)
        if schedule.begins == "before":
            one.join(30)

    def _begin_at_gate(self, one, schedule):
        self.log("-- the gate is shut")
        if schedule.commits == "at once":
            one.may_commit.set()
        one.start()
        if schedule.commits == "at once":
            one.join(PATIENCE_SECONDS)
        else:
            one.has_effect.wait(PATIENCE_SECONDS)
        self.log(f"-- the gate opens; {one.kind.name} {'is done' if one.effective_at else 'waits'}")

    def _start(self, gate) -> list:
        rng, tool = self.rng, self.tool
        url = self.world.database.url_through(gate.port)
        environment = tool.environment(DATABASE_URL=url)
        catalog = ["--catalog", tool.catalog]
        if self.command == "coordinator":
            queue = Queue(self.redis, f"round-{self.number}")
            queue_tool = QueueTool(tool, queue)
            workers = [queue_tool.worker("--exit-when-done", "--concurrency", "1") for _ in range(2)]
            first = queue_tool.coordinator("--profile", "maintenance", database_url=url)
            return [("coordinator", first), *(("worker", worker) for worker in workers)]
        if self.command in ("run", "dry run"):
            arguments = ["run", *catalog, "--profile", "maintenance"]
            if self.command == "dry run":
                arguments.append("--dry-run")
            elif rng.random() < 0.5:
                arguments += ["--batch-size", rng.choice([10, 40])]
            if rng.random() < 0.3:
                arguments += ["--order", "physical"]
        elif self.command == "fence add":
            arguments = ["fence", "add", *catalog, "--attempts", "6", "--lock-timeout", "1000"]
            arguments += [word for key in self.options.get("retired", ["kek-v1"]) for word in ("--retired", key)]
        else:
            arguments = ["verify", *catalog, "--wait-open-transactions", "2s", "--concurrency", rng.choice([1, 2, 4])]
            kind = rng.random()
            if kind < 0.08:
                arguments += ["--depth", "labels"]
            elif kind < 0.14:
                arguments += ["--table", rng.choice(["vault", "ledger", "registry"])]
            elif kind < 0.3:
                arguments += ["--depth", "keys"]
        self.part = " ".join(arguments[-2:]) if arguments[-2] in ("--depth", "--table") else ""
        self.log(f"$ reencrypt-secrets {' '.join(map(str, arguments))}")
        return [(self.command, tool.start_command(*arguments, environment=environment))]

    def _attend(self, processes, watch, began):
        """Until every process has ended; commits what is due meanwhile."""
        first, first_ended = processes[0][1], None
        while first.is_running() or any(process.is_running() for _, process in processes):
            now = time.time()
            for one, schedule in self.planned:
                if one.has_effect.is_set() and not one.may_commit.is_set() and schedule.is_due(one, watch, began):
                    one.may_commit.set()
            if now - began > HANG_SECONDS:
                break
            if not first.is_running():
                first_ended = first_ended or now
                # A worker that comes when the job is over waits for the next one.
                if now - first_ended > WORKERS_GRACE_SECONDS:
                    self._stop(processes[1:])
            time.sleep(POLL_SECONDS)
        for name, process in processes:
            hung = process.is_running()
            if hung:
                process.kill()
            self.outcomes.append((name, process, hung))

    def _stop(self, processes):
        for _, process in processes:
            if process.is_running():
                process.send(signal.SIGTERM)

    # MARK: the judgement

    def _afterwards(self):
        for one in self.deeds:
            if one.script.afterwards is not None and one.error is None:
                one.script.afterwards()
        truth = oracle.truth(self.world, self.catalog)
        truth.written = self.written
        taken = oracle.taken(self.world, self.catalog) if self.command == "fence add" else []
        calls = self._foreign_calls()
        for name, process, hung in self.outcomes:
            outcome = process.wait(10)
            self.log(str(outcome))
            code = outcome.exit_code
            if hung:
                judgement = claims.Judgement("disagreement", f"it hung for {HANG_SECONDS} s")
            elif name == "worker" and code in (143, 130):
                judgement = claims.Judgement("agreed", "there was no job, and we stopped it")
            else:
                claim = "verify" if name in deeds_module.VERIFICATIONS else name
                judgement = claims.judge(claim, code, outcome.output, self.look, self.deeds, self.truth_before, truth,
                                         taken, calls)  # fmt: skip
            self._result(f"{name} {self.part}".strip(), code, judgement, outcome.seconds)
        if self.rng.random() < 0.4:
            self._verify_again(truth)

    def _verify_again(self, truth):
        """All is quiet now, and every deed is committed: the verdict must be the oracle's."""
        outcome = self.tool.command("verify", "--catalog", self.tool.catalog, "--wait-open-transactions", "1s", timeout=90)
        self.log(str(outcome))
        judgement = claims.judge("verify", outcome.exit_code, outcome.output, float("inf"), self.deeds, truth, truth, [], 0)
        self._result("quiet verify", outcome.exit_code, judgement, outcome.seconds)

    def _foreign_calls(self) -> int:
        with open(self.server.log, "rb") as log:
            log.seek(self.log_offset)
            lines = log.read().decode(errors="replace").splitlines()
        name = self.world.database.name
        return sum(1 for line in lines if CALLED in line and "LOG:" in line and name in line and "reencrypt-secrets" in line)

    def _result(self, command, code, judgement, seconds):
        self.log(f"== {command}: exit code {code}: {judgement.verdict} {judgement.reason}")
        self.results.append(Result(command, code, judgement, seconds))

    def _close(self):
        for gate in self.gates:
            gate.close()
        if hasattr(self, "tool"):
            self.tool.kill_all()
        for one in self.deeds:
            if one.began_at is not None:
                one.close()
            if one.script.cleanup is not None:
                one.script.cleanup()
        for _, script, _ in getattr(self, "chosen", []):
            if script.cleanup is not None and not any(one.script is script for one in self.deeds):
                script.cleanup()
        self.world.close()

    def write_log(self, path):
        lines = [*self.lines, "", "-- statements of the tool", *(
            f"{self._relative(at)} connection {number}: {re.sub(chr(10) + ' *', ' ', sql)[:300]}"
            for at, number, sql in getattr(self, "trace", [])
        )]  # fmt: skip
        path.write_text("\n".join(lines), encoding="utf-8")
