"""The product's own Lua scripts, loaded into a Redis, and their calls as bytes of the protocol."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts/support"))

from resp_client import encoded  # noqa: E402  pylint: disable=wrong-import-position

SCRIPTS = ROOT / "Sources/BatchQueue/Redis/Scripts"
NAMES = [
    "lead", "begin_job", "begin_sweep", "enqueue", "tick", "finish_job", "claim", "acknowledge", "heartbeat",
    "retire_worker",
]  # fmt: skip
TABLES = ["llm_providers", "billing.payment_accounts"]
JOB = "0123456789abcdef"
TOKEN = "5ca1e"


class QueueScripts:
    """Digest by name. A script that is missing on the server is not expected: nothing flushes it."""

    def __init__(self, redis, queue="scale"):
        self.prefix = f"reencrypt:{{{queue}}}:"
        self.progress = self.prefix + "progress"
        prelude = (SCRIPTS / "prelude.lua").read_text()
        self.digests = {
            name: redis.command("SCRIPT", "LOAD", prelude + (SCRIPTS / f"{name}.lua").read_text()) for name in NAMES
        }

    def call(self, name, *arguments) -> tuple:
        """A command for `RedisClient`."""
        return ("EVALSHA", self.digests[name], 1, self.progress, *arguments)

    def head(self, name, arguments: int) -> bytes:
        """All of the encoded call but its `arguments` further arguments: what never changes is encoded once."""
        parts = encoded(("EVALSHA", self.digests[name], "1", self.progress))
        return b"*%d%s" % (4 + arguments, parts[2:])


def body(table, number, records) -> str:
    """The message of a range, as the coordinator writes it, without generation and sequence number."""
    first, last = (f"018bd003-59bd-7d96-{number % 65536:04x}-{2 * number + end:012x}" for end in (0, 1))
    return f'"first":["{first}"],"last":["{last}"],"leaf":16384,"n":{records},"rows":{records},"table":"{table}"}}'
