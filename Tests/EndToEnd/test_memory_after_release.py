"""No key, data key or plaintext is left in memory once the keys are released.

The probe does with keys what a worker does, then releases them and waits. While it works its memory does hold the
key: that is the control, without which the search would prove nothing.
"""

import base64
import os
import pathlib
import subprocess

import pytest

from envelope_reference import KeyEncryptionKey, seal
from support.process_memory import mappings_that_hold
from support.rotation_tool import binary_path

PLAINTEXT = b"plaintext-that-must-not-stay-0123456789"


@pytest.fixture
def probe():
    path = pathlib.Path(os.environ.get("REENCRYPT_PROBE", binary_path().with_name("secret-lifetime-probe")))
    assert path.exists(), f"{path} does not exist: run `swift build -c release --product secret-lifetime-probe`"
    process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    yield process
    process.kill()
    process.wait()


def test_released_secrets_are_gone(probe):
    new, old = KeyEncryptionKey.generate("kek-v2"), KeyEncryptionKey.generate("kek-v1")
    sealed = seal(old, PLAINTEXT)
    for line in (new.setting.encode(), old.setting.encode(), sealed.bytes):
        probe.stdin.write(line + b"\n")
    assert probe.stdout.readline() == b"loaded 2\n"
    keys = {name: base64.b64decode(key.setting.split(":")[1]) for name, key in (("new", new), ("old", old))}
    for name, key in keys.items():
        assert mappings_that_hold(probe.pid, key), f"the search does not find the {name} key while it is in use"

    probe.stdin.write(b"go on\n")
    assert probe.stdout.readline() == b"released\n"
    secrets = keys | {
        "new, as base64": new.setting.split(":")[1].encode(),
        "old, as base64": old.setting.split(":")[1].encode(),
        "data key": sealed.dek,
        "plaintext": PLAINTEXT,
    }
    left = {name: places for name, value in secrets.items() if (places := mappings_that_hold(probe.pid, value))}
    assert not left, "secrets are still in memory after their release: " + ", ".join(
        f"{name} in {places}" for name, places in left.items()
    )
