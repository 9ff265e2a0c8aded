"""What operators do wrong, and must be told: a transaction pooler in between."""

from fault import NotNow, fault


@fault("transaction pooler in between", "single")
def pooler(world, rng):
    if world.pooler is None:
        raise NotNow("no pooler")
    with world.postgres_changes, world.pooler.running(world.pg) as url:
        command = rng.choice(["run", "coordinator"])
        world.operator.expect_refusal("transaction pooler in between", url, "pooler", command)
