"""A Redis that dies, forgets, goes back in time, stands still, refuses writes, or cannot be reached."""

import signal
import os
import time

from fault import WorkGoesOn, fault


@fault("Redis killed, data kept", "server")
def kill_kept(world, rng):
    world.redis.kill()
    time.sleep(rng.uniform(0, 2))
    world.redis.restart(kept=True)
    return WorkGoesOn()


@fault("Redis killed, data lost", "server", loses_queue=True)
def kill_lost(world, rng):
    world.redis.kill()
    time.sleep(rng.uniform(0, 2))
    world.redis.restart(kept=False)
    return WorkGoesOn()


@fault("Redis emptied (FLUSHALL)", "server", loses_queue=True)
def flush(world, rng):
    world.redis.command("FLUSHALL")
    return WorkGoesOn()


@fault("Redis restarted from an older snapshot", "server", loses_queue=True)
def roll_back(world, rng):
    world.redis.save_snapshot()
    time.sleep(rng.uniform(0.5, 4))
    world.redis.kill()
    world.redis.restart_from_snapshot()
    return WorkGoesOn()


@fault("Redis frozen", "server")
def freeze(world, rng):
    pid = world.redis.server.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(rng.uniform(0.5, 8))
    os.kill(pid, signal.SIGCONT)
    return WorkGoesOn()


@fault("Redis paused (CLIENT PAUSE)", "server")
def pause(world, rng):
    seconds = rng.uniform(0.5, 6)
    mode = rng.choice(["ALL", "WRITE"])
    world.redis.command("CLIENT", "PAUSE", int(seconds * 1000), mode)
    time.sleep(seconds)
    return WorkGoesOn()


@fault("Redis out of memory", "server")
def fill_memory(world, rng):
    world.redis.command("CONFIG", "SET", "maxmemory", 1_000_000)
    time.sleep(rng.uniform(0.5, 4))
    world.redis.command("CONFIG", "SET", "maxmemory", 0)
    return WorkGoesOn()


@fault("Redis read-only", "server", loses_queue=False)
def make_replica(world, rng):
    """Of a master that is not there: it keeps its data, and refuses writes."""
    world.redis.command("REPLICAOF", "127.0.0.1", 1)
    time.sleep(rng.uniform(0.5, 4))
    world.redis.command("REPLICAOF", "NO", "ONE")
    return WorkGoesOn()


@fault("Redis connections reset", "server")
def reset(world, rng):
    world.board.reset(*(f"{name} redis" for name in world.queue_role_names))
    return WorkGoesOn()


@fault("Redis clients killed (CLIENT KILL)", "server")
def kill_clients(world, rng):
    world.redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return WorkGoesOn()
