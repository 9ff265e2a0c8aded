"""One rotation: from one key to the next, or back; faults all the while; at the end everything is looked at.

    1  The application writes under both keys, jobs follow one another, the verifier looks; all faults.
    2  Quiet, half-way: coordinators and application stop. The verifier's counts are Python's, its verdict 'not proven'.
    3  In every other round: a trigger undoes the updates of a table. The job must end as incomplete, and say so.
    4  The last job, under those faults that do not take Redis' data; it must complete. In every other round the
       application goes on, under the new key alone; else the job's sums are exact.
    5  Quiet: the verdict is 'proven', every committed row is there, and every value opens to its plaintext.
    6  The workers stop when told to.
"""

import contextlib
import threading
import time

from fault import FAULTS, HANG_SECONDS, LANES, Lane
from invariants import census, compare_with_oracle, compare_with_report, old_records, read_all

OLD_SHARE = 0.6
PAUSES = {"server": 0.7, "single": 1.2, "long": 2.0}
LANES_AT_ONCE = {"server": 1, "single": 1, "long": 2}
LAST_JOB_SECONDS = 120
LAST_FAULTS_SECONDS = 8
LONGEST_STILLSTAND_SECONDS = 90
TRIGGER = """
CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
CREATE TRIGGER undo BEFORE UPDATE ON providers FOR EACH ROW EXECUTE FUNCTION undo();
"""


class Round:
    def __init__(self, world, number, target, old, seconds):
        self.world, self.number = world, number
        self.target, self.old, self.seconds = target, old, seconds
        self.findings = world.findings
        self.has_trigger = number % 2 == 1
        self.is_written_to = number % 2 == 0
        self.is_faulty = False
        self.began = self.last_hang = time.time()

    def run(self):
        world = self.world
        self.findings.say(f"=== round {self.number}: {self.old.key_id} -> {self.target.key_id}, {self.seconds:.0f} s")
        world.is_over.clear()
        world.set_keys(self.target, self.old)
        batch = ["-b", "3"] if self.number % 2 else []
        for role in world.coordinators:
            role.command = ["coordinator", "--queue", "chaos", "--catalog", "catalog.yaml", *batch]
        world.application.run(self.target, self.old, OLD_SHARE)
        self._want(world.workers, True)
        self._want(world.coordinators, True)
        self.began, self.is_faulty = time.time(), True
        self._faults_for(self.seconds, FAULTS, with_verifier=True)
        self.is_faulty = False
        self._half_way()
        if self.has_trigger:
            self._undone_by_a_trigger()
        self._last_job()
        self._compare(complete=True)
        self._stop(world.workers)

    # MARK: phases

    def _faults_for(self, seconds, faults, with_verifier, until=lambda: False):
        world = self.world
        world.is_over.clear()
        stop = threading.Event()
        threads = []
        for name in LANES:
            of_lane = [fault for fault in faults if fault.lane == name]
            for n in range(LANES_AT_ONCE[name] if of_lane else 0):
                lane = Lane(world, of_lane, f"{world.seed} {self.number} {len(faults)} {name} {n}", PAUSES[name])
                threads.append(threading.Thread(target=lane.run, args=(stop,), daemon=True))
        if with_verifier:
            threads.append(threading.Thread(target=world.verifier.run, args=(stop,), daemon=True))
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            time.sleep(0.1)
            self._watch_for_a_hang()
        stop.set()
        # Long faults end now; the others end by themselves.
        world.is_over.set()
        for thread in threads:
            thread.join(120)
            if thread.is_alive():
                self.findings.violation("harness", "a lane does not end")
        world.is_over.clear()
        if world.has_fake_clock:
            world.set_worker_clock(0)

    def _watch_for_a_hang(self):
        """Whatever is imposed, and by however many faults at once: this long nothing may stand still."""
        since = max(self.world.watch.done_at[-1] if self.world.watch.done_at else 0.0, self.last_hang, self.began)
        if self.is_faulty and time.time() - since > LONGEST_STILLSTAND_SECONDS:
            self.last_hang = time.time()
            self.findings.violation("hang", f"no batch was done for {LONGEST_STILLSTAND_SECONDS} s\n{self.world.state()}")

    def _half_way(self):
        self._stop(self.world.coordinators)
        oracle = self._halt_application()
        # A transaction that was under way when the lead was given up has ended by then.
        time.sleep(1)
        self._wait_for_standby()
        self._compare(complete=False, oracle=oracle)

    def _undone_by_a_trigger(self):
        world = self.world
        kind = "trigger that undoes updates"
        self._cancel()
        if old_records(self._census(), self.target) == 0:
            self.findings.say("nothing is old, no need for a trigger")
            return
        with contextlib.closing(world.pg.connect()) as connection, connection.cursor() as cursor:
            # Enough for the trigger to undo: values under the old key in its table.
            cursor.execute(TRIGGER)
            before = self._census()
            began = time.time()
            self._want(world.coordinators, True)
            ended = self._wait_for_end(began, codes=(0, 2))
            self._want(world.coordinators, False)
            self._stop(world.coordinators)
            cursor.execute("DROP TRIGGER undo ON providers; DROP FUNCTION undo()")
        self.findings.fault(kind)
        left = sum(number for (table, _, key), number in before.items()
                   if table == "providers" and key != self.target.key_id)  # fmt: skip
        if ended != (2 if left else 0):
            self.findings.violation(kind, f"the job ended with {ended}, {left} records are under the trigger\n{world.state()}")
        elif left and not any("cannot be" in text or "not be stored" in text or "trigger" in text.lower()
                              for text in (role.log_tail(60) for role in world.coordinators)):  # fmt: skip
            self.findings.violation(kind, f"the end does not say why\n{world.state()}")

    def _last_job(self):
        world = self.world
        self._cancel()
        counts = self._census()
        if self.is_written_to:
            world.application.run(self.target, self.old, 0.0)
        harmless = [
            fault for fault in FAULTS if not fault.loses_queue and not fault.fails_records and fault.lane != "long"
        ]
        redrawn = world.watch.redrawn
        began = time.time()
        self._want(world.coordinators, True)
        done = lambda: any(code == 0 and at > began for name, code, at in world.ends if name.startswith("coord"))
        self._faults_for(LAST_FAULTS_SECONDS, harmless, with_verifier=False, until=done)
        code = self._wait_for_end(began, codes=(0,))
        # A coordinator that has ended is started again, and its next job finds nothing to do.
        progress = world.watch.first_job_since(began)
        self._want(world.coordinators, False)
        self._stop(world.coordinators)
        # It may have been stopped with that next job begun, which would refuse the next round's keys.
        self._cancel()
        if code != 0:
            self.findings.violation("end", f"the last job did not complete within {LAST_JOB_SECONDS} s\n{world.state()}")
        elif any(ended == 2 and at > began for _, ended, at in world.ends) or world.watch.redrawn != redrawn:
            self.findings.note("last job whose sums tell nothing: not the first one, or redrawn")
        elif not self.is_written_to:
            self._check_sums(progress, old_records(counts, self.target))

    def _check_sums(self, progress, old):
        """Nobody else wrote, and Redis kept its data: the counters tell exactly what there was to do."""
        expected = {"records_total": old, "records_done": old, "records_failed": 0, "batches_dead": 0}
        found = {name: progress.get(name) for name in expected}
        if progress.get("state") != "complete":
            self.findings.note("last job whose end was not seen")
        elif found != expected:
            self.findings.violation("sums", f"{old} records were old, the counters say {progress}")

    def _compare(self, complete, oracle=None):
        world = self.world
        if oracle is None:
            oracle = self._halt_application()
        self._wait_for_standby()
        report = world.verifier.when_quiet()
        with contextlib.closing(world.pg.connect()) as connection, connection.cursor() as cursor:
            found = read_all(cursor)
        keks = [self.target] if complete else [self.target, self.old]
        for problem in compare_with_oracle(found, oracle, keks):
            self.findings.violation("rows", problem)
        counts = census(found)
        self.findings.say(f"census: {counts}")
        if complete and old_records(counts, self.target):
            self.findings.violation("rows", f"the job is complete, and {counts} are there")
        if report is not None:
            for problem in compare_with_report(counts, report, self.target):
                self.findings.violation("verifier", problem)

    # MARK: parts

    def _census(self) -> dict:
        with contextlib.closing(self.world.pg.connect()) as connection, connection.cursor() as cursor:
            return census(read_all(cursor))

    def _halt_application(self) -> dict:
        oracle, problems = self.world.application.halt()
        for problem in problems:
            self.findings.violation("application", problem)
        oracle["providers"] |= self.world.own_oracle()
        return oracle

    def _want(self, roles, is_wanted):
        for role in roles:
            with role.mutex:
                role.is_wanted = is_wanted
                role.restart_at = 0.0

    def _stop(self, roles):
        """All at once; each has to end within its time."""
        self._want(roles, False)
        limit = HANG_SECONDS
        for role in roles:
            role.send(15)
        end = time.monotonic() + limit
        for role in roles:
            while role.is_running() and time.monotonic() < end:
                time.sleep(0.02)
            if role.is_running():
                self.findings.violation("wedged", f"{role.name} has not ended {limit:g} s after SIGTERM\n{role.log_tail()}")
                role.kill()
            while role.process is not None:
                time.sleep(0.02)

    def _cancel(self):
        self.world.operator.cancel_job()

    def _wait_for_end(self, began, codes):
        """The exit code of the first coordinator that ended with one of these."""
        end = time.monotonic() + LAST_JOB_SECONDS
        while time.monotonic() < end:
            for name, code, at in list(self.world.ends):
                if name.startswith("coordinator") and at > began and code in codes:
                    return code
            time.sleep(0.02)
        return None

    def _wait_for_standby(self):
        """The verifier asks that every standby has on disk what it saw."""
        if not self.world.pg.has_standby.wait(60):
            self.findings.violation("harness", "there is no standby again after 60 s")
        self.world.pg.wait_until_streaming()
