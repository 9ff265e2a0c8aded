"""The fence and a job on the queue: a target that a fence denies is refused before anything is enumerated."""

from test_fence import fence


def test_coordinator_refuses_a_denied_target_and_the_way_back_begins_with_drop(queue_tool, back, table, kek_v1, kek_v2):
    worker = queue_tool.worker("--exit-when-done")
    queue_tool.coordinator().wait().expect(0)
    worker.wait().expect(0)
    fence(queue_tool.tool, "add").expect(0)
    back.coordinator().wait().expect_refusal("a fence refuses values under kek-v1", "fence drop")
    table.assert_opens_with(kek_v2)
    fence(back.tool, "drop").expect(0)
    worker = back.worker("--exit-when-done")
    back.coordinator().wait().expect(0)
    worker.wait().expect(0)
    table.assert_opens_with(kek_v1)
