"""A worker that is made to dump core in the middle of a job: no key, data key or plaintext is in it."""

import os
import pathlib
import signal

import pytest

from envelope_reference import unwrap
from support.core_dump import WINDOW, found_windows, take
from support.process_memory import mappings_that_hold
from support.secrets_table import SecretsTable

MARKER = b"PLAINTEXT-MARKER-c07e-"
# Stands in the environment beside the keys. Of period 4, so that each search finds it wherever it begins.
VISIBLE = "5d1v" * 16

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make another process dumpable")


def windows(secret: bytes) -> set:
    """Both halves of a key: what a register or a round key holds of it."""
    return {secret[:WINDOW], secret[-WINDOW:]}


def contains(core: bytes, needle: bytes) -> bool:
    """Outside of the assertion, which would show the whole core."""
    return needle in core


@pytest.mark.parametrize("mode", ["rewrap", "reencrypt"])
@pytest.mark.slow
@pytest.mark.watchdog(400)
def test_no_secret_in_a_core_dump(database, queue, queue_tool, kek_v1, kek_v2, mode):
    table = SecretsTable(database).create().fill(kek_v1, range(20_000), lambda number: MARKER + b"%d" % number)
    queue_tool.tool.write_catalog(table)
    worker = queue_tool.worker(VISIBLE_MARKER=VISIBLE)
    coordinator = queue_tool.coordinator("--mode", mode, "--batch-size", 20)
    queue.wait_until_done(500)
    worker.send(signal.SIGSTOP)
    assert queue.progress()["records_done"] < 15_000, "the job is nearly over"

    environment = pathlib.Path(f"/proc/{worker.pid}/environ").read_bytes()
    assert VISIBLE.encode() in environment
    texts = [kek.setting.split(":")[1].encode() for kek in (kek_v1, kek_v2)]
    assert not any(text in environment for text in texts), "a key is still in the environment block"
    for kek in (kek_v1, kek_v2):
        assert mappings_that_hold(worker.pid, kek.key), "the search does not find a key that is in use"

    core = take(worker, queue_tool.tool.directory)
    coordinator.kill()
    # What must be found: the environment block, and values that passed through.
    value = b'{"version":1,"alg":"AES-256-GCM","key_id":"kek-v1","dek_wrapped":"'
    assert contains(core, VISIBLE.encode()) and contains(core, value)

    assert not contains(core, MARKER), "a plaintext is in the core dump"
    for text in texts:
        assert not contains(core, text), "a key's text is in the core dump"
    for half in (half for kek in (kek_v1, kek_v2) for half in windows(kek.key)):
        assert not contains(core, half), "half a key is in the core dump"
    secrets = {half for sealed in table.sealed.values() for half in windows(sealed.dek)}
    for value in table.stored().values():
        secrets |= windows(unwrap(value, kek_v1, kek_v2))
    visible = {(VISIBLE[start : start + WINDOW]).encode() for start in range(4)}
    found = found_windows(core, secrets | visible)
    assert found & visible, "the search does not find what is there"
    assert found <= visible, "half a data key is in the core dump"
