"""A network that splits, resets, or swallows connections without a word."""

import time

from fault import HANG_SECONDS, LEASE_SECONDS, NotNow, WorkGoesOn, fault


@fault("PostgreSQL connections reset", "server")
def reset_postgres(world, rng):
    names = [f"{name} postgres" for name in world.role_names] + ["application postgres"]
    world.board.reset(*(name for name in names if rng.random() < 0.7))
    return WorkGoesOn()


def _split(world, role, rng, servers):
    names = [f"{role.name} {server}" for server in servers]
    with world.occupying(role):
        world.board.hold(*names)
        world.is_over.wait(rng.uniform(1, 12))
        world.board.release(*names)


@fault("network split: worker and Redis", "single")
def split_redis(world, rng):
    _split(world, world.some_worker(rng), rng, ["redis"])


@fault("network split: worker and PostgreSQL", "single")
def split_postgres(world, rng):
    _split(world, world.some_worker(rng), rng, ["postgres"])


@fault("network split: worker and both", "long")
def split_both(world, rng):
    """For longer than the lease."""
    role = world.some_worker(rng)
    names = [f"{role.name} {server}" for server in ("redis", "postgres")]
    with world.occupying(role):
        world.board.hold(*names)
        world.watch.follow_lost_leases("network split: worker and both", LEASE_SECONDS)
        world.is_over.wait(rng.uniform(33, 40))
        world.board.release(*names)


@fault("network split: leading coordinator and PostgreSQL", "long", limit=LEASE_SECONDS)
def split_leader(world, rng):
    role = world.leader()
    with world.occupying(role), world.impositions.during("leading coordinator cut off"):
        world.board.hold(f"{role.name} postgres")
        world.recoveries.of_a_lead("network split: leading coordinator and PostgreSQL", role, LEASE_SECONDS)
        world.is_over.wait(rng.uniform(33, 42))
        world.board.release(f"{role.name} postgres")


@fault("network split: leading coordinator and Redis", "single")
def split_leader_redis(world, rng):
    role = world.leader()
    with world.occupying(role), world.impositions.during("leading coordinator cut off from Redis"):
        _split(world, role, rng, ["redis"])
        time.sleep(3)


def _hole(world, role, server, kind):
    """Everything that its connections of now say is swallowed, for ever. New ones work."""
    route = f"{role.name} {server}"
    pid = role.pid
    if world.board.hole(route) == 0:
        raise NotNow("there is no connection")
    world.recoveries.from_a_black_hole(kind, role, pid, route, HANG_SECONDS)


@fault("black hole: worker and Redis", "single")
def hole_redis(world, rng):
    _hole(world, world.some_worker(rng), "redis", "black hole: worker and Redis")


@fault("black hole: worker and PostgreSQL", "single")
def hole_postgres(world, rng):
    _hole(world, world.some_worker(rng), "postgres", "black hole: worker and PostgreSQL")


@fault("black hole: leading coordinator and PostgreSQL", "long")
def hole_leader_postgres(world, rng):
    role = world.leader()
    with world.occupying(role), world.impositions.during("leading coordinator in a black hole"):
        _hole(world, role, "postgres", "black hole: leading coordinator and PostgreSQL")
        world.is_over.wait(12)


@fault("black hole: leading coordinator and Redis", "long")
def hole_leader_redis(world, rng):
    role = world.leader()
    with world.occupying(role), world.impositions.during("leading coordinator in a black hole"):
        _hole(world, role, "redis", "black hole: leading coordinator and Redis")
        world.is_over.wait(12)
