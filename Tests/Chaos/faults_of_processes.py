"""Processes that are killed, frozen for longer than a lease, stopped, replaced, or whose clock jumps."""

import signal
import time

from fault import GIVEN_UP_SECONDS, HANG_SECONDS, LEASE_SECONDS, NotNow, WorkGoesOn, fault

BEYOND_THE_LEASE = (33.0, 40.0)
STOPPED_WITHIN_SECONDS = 15.0


@fault("worker killed", "single", weight=2)
def kill_worker(world, rng):
    role = world.some_worker(rng)
    role.kill()
    world.watch.follow_lost_leases("worker killed", LEASE_SECONDS)


@fault("worker stopped (SIGTERM)", "single")
def stop_worker(world, rng):
    role = world.some_worker(rng)
    world.operator.stop(role, "worker stopped (SIGTERM)", STOPPED_WITHIN_SECONDS)


@fault("leading coordinator killed", "server", limit=HANG_SECONDS, weight=2)
def kill_leader(world, rng):
    """Work goes on under its successor; what was under way is done without one."""
    role = world.leader()
    process = role.process
    role.kill()
    began = time.time()
    while time.time() - began < GIVEN_UP_SECONDS and not world.is_over.is_set():
        name = world.leader_name()
        if name in world.coordinator_names and world.roles[name].process is not process:
            return WorkGoesOn(began=began)
        time.sleep(0.02)
    return WorkGoesOn(began=began)


@fault("waiting coordinator killed", "single")
def kill_waiting(world, rng):
    world.waiting_coordinator().kill()


@fault("verifier killed", "single")
def kill_verifier(world, rng):
    role = world.roles["verifier"]
    if not role.is_running():
        raise NotNow("no verification is under way")
    role.kill()


def _freeze(world, role, rng):
    """For longer than the lease; whoever kills it meanwhile has done so."""
    process = role.process
    if process is None:
        raise NotNow("it has just ended")
    with world.occupying(role):
        role.is_frozen = True
        role.send(signal.SIGSTOP)
        world.is_over.wait(rng.uniform(*BEYOND_THE_LEASE))
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
        role.is_frozen = False


@fault("worker frozen beyond the lease", "long", weight=2)
def freeze_worker(world, rng):
    role = world.some_worker(rng)
    role.send(signal.SIGSTOP)
    world.watch.follow_lost_leases("worker frozen beyond the lease", LEASE_SECONDS)
    _freeze(world, role, rng)


@fault("leading coordinator frozen", "long", limit=LEASE_SECONDS)
def freeze_leader(world, rng):
    role = world.leader()
    with world.impositions.during("leading coordinator frozen"):
        frozen = time.monotonic()
        world.recoveries.of_a_lead("leading coordinator frozen", role, LEASE_SECONDS)
        _freeze(world, role, rng)
        world.findings.say(f"{role.name} was frozen for {time.monotonic() - frozen:.0f} s")


@fault("waiting coordinator frozen", "long")
def freeze_waiting(world, rng):
    _freeze(world, world.waiting_coordinator(), rng)


@fault("verifier frozen", "long")
def freeze_verifier(world, rng):
    role = world.roles["verifier"]
    if not role.is_running():
        raise NotNow("no verification is under way")
    _freeze(world, role, rng)


@fault("workers replaced by a second version", "single")
def roll_out(world, rng):
    """One by one, each when its predecessor has ended."""
    world.roll_over()
    for role in world.workers:
        if role.is_running() and not role.is_frozen:
            world.operator.stop(role, "workers replaced by a second version", STOPPED_WITHIN_SECONDS)


@fault("clock of a worker jumps", "single")
def jump_clock(world, rng):
    offset = rng.choice([3600, -3600, 86400, -86400 * 30, 7, -7])
    world.set_worker_clock(offset)
    time.sleep(rng.uniform(1, 4))
    world.set_worker_clock(0)
