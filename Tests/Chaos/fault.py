"""A fault: its name, where it strikes, and when work may be expected to go on.

Faults of one lane come one after the other, those of different lanes at the same time:

    server   strikes everybody; each waits until work has gone on before the next one comes
    single   strikes one process, some rows, or nothing but the operator
    long     a process or a connection stands still for longer than a lease lasts
"""

import dataclasses
import random
import time

import psycopg2

from private_postgres import PrivatePostgresError
from private_redis import PrivateRedisError
from resp_client import RedisAway, RedisError

LANES = ("server", "single", "long")
SERVER_BACK_SECONDS = 5.0
HANG_SECONDS = 15.0
LEASE_SECONDS = 45.0
GIVEN_UP_SECONDS = 90.0
STARVED_PATIENCE_SECONDS = 6.0


class NotNow(Exception):
    """It cannot be injected at this moment: nobody leads, there is no standby, no such process."""


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    lane: str
    inject: object
    loses_queue: bool
    fails_records: bool
    limit: float
    weight: int


@dataclasses.dataclass(frozen=True)
class WorkGoesOn:
    """Some batch is done after this moment (wall clock); it is counted from `began`, where that was earlier."""

    since: float = dataclasses.field(default_factory=time.time)
    began: float | None = None


FAULTS = []


def fault(name, lane, loses_queue=False, fails_records=False, limit=SERVER_BACK_SECONDS, weight=1):
    """Registers `inject(world, rng)`, which returns after the fault has ended: WorkGoesOn, or nothing where nothing
    of all is to be waited for. `loses_queue`: Redis' data; `fails_records`: single rows may have been cancelled."""

    def register(inject):
        FAULTS.append(Fault(name, lane, inject, loses_queue, fails_records, limit, weight))
        return inject

    return register


class Lane:
    """Injects the faults of a lane, every kind as often as its weight says, in an order drawn from the seed."""

    def __init__(self, world, faults, seed, pause):
        self.world, self.faults, self.pause = world, faults, pause
        self.random = random.Random(seed)
        self._bag = []

    def run(self, stop):
        while not stop.is_set():
            if not self._bag:
                self._bag = [fault for fault in self.faults for _ in range(fault.weight)]
                self.random.shuffle(self._bag)
            self._strike(self._bag.pop())
            stop.wait(self.random.uniform(0, 2 * self.pause))

    def _strike(self, fault):
        world, findings = self.world, self.world.findings
        findings.say(f"{fault.lane}: {fault.name}")
        own = random.Random(self.random.random())
        imposition = world.impositions.begin(fault.name) if fault.lane == "server" else None
        try:
            expected = fault.inject(world, own)
            findings.fault(fault.name)
            if expected is not None:
                self._wait(fault, expected, imposition)
        except NotNow as reason:
            findings.say(f"{fault.lane}: {fault.name}: not now ({reason})")
        except (psycopg2.Error, RedisAway, RedisError, ProcessLookupError) as error:
            findings.say(f"{fault.lane}: {fault.name}: could not be injected ({error!r})")
        except (PrivatePostgresError, PrivateRedisError, OSError) as error:
            findings.violation("harness", f"{fault.name}: {error!r}")
        finally:
            if imposition is not None:
                world.impositions.end(imposition)

    def _wait(self, fault, expected, imposition):
        world = self.world
        while (done := world.watch.first_done_after(expected.since)) is None:
            if time.time() - expected.since > GIVEN_UP_SECONDS:
                world.findings.violation(fault.name, f"no work was done for {GIVEN_UP_SECONDS:g} s\n{world.state()}")
                return
            if world.is_over.is_set():
                return
            if time.time() - expected.since > STARVED_PATIENCE_SECONDS and world.watch.was_starved_since(expected.since):
                world.findings.say(f"{fault.lane}: {fault.name}: nothing to hand out but what a lost worker has")
                return
            time.sleep(0.02)
        seconds = max(0.0, done - (expected.began or expected.since))
        others = world.impositions.since(expected.since, imposition)
        if world.watch.was_starved_since(expected.since):
            others.append("nothing to hand out but what a lost worker has")
        world.findings.say(
            f"{fault.lane}: {fault.name}: work went on after {seconds:.2f} s" + (f", beside {others}" if others else "")
        )
        if not others:
            world.findings.recovered(fault.name, seconds, fault.limit)
