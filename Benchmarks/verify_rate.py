"""How fast `verify` looks, by depth, beside PostgreSQL's own count over the same table, and the memory it takes.

The subject: a table of distinct 331-byte envelopes in a bytea column, each with a data key, nonces and a ciphertext of
its own, all under the target key. PostgreSQL's own looks, over one and two connections (each half of the blocks):

    found      SELECT count(*) … WHERE position("key_id":"<target>" in value) = 0      ends early in each value
    absent     SELECT count(*) … WHERE position("key_id":"<retired>" in value) > 0     reads each value to its end

Rounds are interleaved; the table shows medians, the spread, and times as multiples of PostgreSQL's with as many
connections. 'whole command' is from the process's start to its exit; 'pass' is the time for which the snapshot was held,
as the report says.

    scripts/bench verify [--rows 1000000] [--rounds 5] [--json FILE]
"""

import argparse
import base64
import io
import json
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import threading
import time

import psycopg2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import machine
from envelope_reference import KeyEncryptionKey
from private_postgres import PrivatePostgres
from tool_process import MeasuredProcess, binary_path

COLUMN = "api_key_encrypted"
PLAINTEXT_BYTES = 89
COPY_ROWS = 10_000
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "autovacuum": "off"}
DEPTHS = ("labels", "keys", "values")


def envelope(kek) -> bytes:
    dek, wrap_nonce, nonce = os.urandom(32), os.urandom(12), os.urandom(12)
    members = (
        wrap_nonce + kek.aead.encrypt(wrap_nonce, dek, None),
        nonce,
        AESGCM(dek).encrypt(nonce, os.urandom(PLAINTEXT_BYTES), None),
    )
    return b'{"version":1,"alg":"AES-256-GCM","key_id":"%s","dek_wrapped":"%s","nonce":"%s","ciphertext":"%s"}' % (
        kek.key_id.encode(),
        *map(base64.b64encode, members),
    )


def copy_part(part):
    url, table, setting, start, rows = part
    kek = KeyEncryptionKey.from_setting(setting)
    lines = b"".join(b"%d\t\\\\x%s\n" % (row, envelope(kek).hex().encode()) for row in range(start, start + rows))
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN", io.BytesIO(lines))
    connection.close()


def load(url, table, rows, kek):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, {COLUMN} bytea NOT NULL)")
        parts = [
            (url, table, kek.setting, start, min(COPY_ROWS, rows - start)) for start in range(0, rows, COPY_ROWS)
        ]
        with multiprocessing.Pool(2) as pool:
            pool.map(copy_part, parts, chunksize=1)
        cursor.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
        cursor.execute("CHECKPOINT")
        cursor.execute(f"SELECT pg_relation_size('{table}') / 8192")
        (blocks,) = cursor.fetchone()
    connection.close()
    return blocks


def server_version(server) -> str:
    connection = psycopg2.connect(server.url())
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    connection.close()
    return version


def drop(url, table):
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {table}")
    connection.close()


class OwnCount:
    """PostgreSQL's own count, by connections that stand already."""

    def __init__(self, url, table, blocks, connections, condition):
        cuts = [blocks * part // connections for part in range(connections + 1)]
        self.statements = [
            f"SELECT count(*) FROM {table} WHERE {condition}"
            + (f" AND ctid >= '({low},0)' AND ctid < '({high},0)'" if connections > 1 else "")
            for low, high in zip(cuts, cuts[1:])
        ]
        self.connections = [psycopg2.connect(url) for _ in self.statements]
        for connection in self.connections:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET max_parallel_workers_per_gather = 0")

    def run(self) -> float:
        counts = []

        def count(connection, statement):
            with connection.cursor() as cursor:
                cursor.execute(statement)
                counts.append(cursor.fetchone()[0])

        threads = [threading.Thread(target=count, args=pair) for pair in zip(self.connections, self.statements)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
        if counts != [0] * len(self.statements):
            raise SystemExit(f"PostgreSQL counted {counts}, not nothing")
        return seconds

    def close(self):
        for connection in self.connections:
            connection.close()


class Verification:
    def __init__(self, url, table, directory, kek):
        self.directory = pathlib.Path(directory)
        self.catalog = self.directory / f"{table}.yaml"
        self.catalog.write_text(f"tables:\n  - name: {table}\n    encrypted_columns: [{COLUMN}]\nignore: []\n")
        self.environment = {"PATH": "/usr/bin:/bin", "DATABASE_URL": url, "SECRETS_ENCRYPTION_KEY": kek.setting}
        self.environment["SECRETS_ENCRYPTION_KEY_PREVIOUS"] = KeyEncryptionKey.generate("kek-v1").setting

    def run(self, depth, connections, sample_memory=False):
        """Seconds of the whole command and of the pass, and the peak memory in MiB where that was asked for."""
        report = self.directory / "report.json"
        command = [binary_path(), "verify", "--catalog", self.catalog, "--depth", depth]
        command += ["--concurrency", connections, "--report", report]
        process = MeasuredProcess(command, self.environment, self.directory / "verify.log", sample_memory)
        process.expect_success()
        found = json.loads(report.read_text())
        return process.ended - process.started, held_seconds(found), process.peak_mib


def held_seconds(report) -> float:
    """The report's own figure, wherever it stands."""
    for name, value in report.items():
        if "held" in name.lower() and isinstance(value, (int, float)):
            return value
        if isinstance(value, dict) and (found := held_seconds(value)) is not None:
            return found
    return None


def line(name, seconds, rows, base=None):
    median = statistics.median(seconds)
    times = "" if base is None else f"{median / base:8.2f}"
    print(f"{name:34}{median:9.3f}{min(seconds):9.3f}{max(seconds):9.3f}{rows / median:13,.0f}{times}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="for scripts/bench report")
    arguments = parser.parse_args()
    kek = KeyEncryptionKey.generate("kek-v2")
    conditions = {
        "found": f"""position('"key_id":"{kek.key_id}"'::bytea in {COLUMN}) = 0""",
        "absent": f"""position('"key_id":"kek-v1"'::bytea in {COLUMN}) > 0""",
    }
    with tempfile.TemporaryDirectory(prefix="reencrypt-verify-") as directory:
        os.chmod(directory, 0o755)
        with PrivatePostgres(pathlib.Path(directory) / "postgres", SETTINGS) as server:
            described, load_before = machine.describe() | {"postgresql": server_version(server)}, machine.load()
            url, small_rows = server.url(), max(1, arguments.rows // 10)
            blocks = load(url, "secrets", arguments.rows, kek)
            verification = Verification(url, "secrets", directory, kek)
            own = {
                (name, connections): OwnCount(url, "secrets", blocks, connections, condition)
                for name, condition in conditions.items()
                for connections in (1, 2)
            }
            seconds = {}
            for number in range(arguments.rounds + 1):
                for key, count in own.items():
                    seconds.setdefault(key, []).append(count.run())
                for depth in DEPTHS:
                    for connections in (1, 2):
                        whole, held, _ = verification.run(depth, connections)
                        seconds.setdefault((depth, connections, "whole command"), []).append(whole)
                        seconds.setdefault((depth, connections, "pass"), []).append(held)
                if number == 0:  # warms up
                    seconds.clear()
            large = [verification.run(depth, 2, sample_memory=True)[2] for depth in DEPTHS]
            # Another table of envelopes, in no catalog, would speak against the verdict.
            for count in own.values():
                count.close()
            drop(url, "secrets")
            load(url, "fewer", small_rows, kek)
            fewer = Verification(url, "fewer", directory, kek)
            small = [fewer.run(depth, 2, sample_memory=True)[2] for depth in DEPTHS]

    if arguments.json:
        results = {
            "kind": "verification", "machine": described, "load": load_before, "settings": SETTINGS,
            "rows": arguments.rows, "small_rows": small_rows, "rounds": arguments.rounds,
            "seconds": [
                {"what": f"PostgreSQL's own count, {key[0]}" if len(key) == 2 else f"{key[0]}, {key[2]}",
                 "connections": key[1], "seconds": found}
                for key, found in seconds.items()
            ],
            "memory": {depth: [few, many] for depth, few, many in zip(DEPTHS, small, large)},
        }  # fmt: skip
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")
    print(f"{arguments.rows:,} distinct envelopes, {arguments.rounds} rounds; {SETTINGS}")
    print(f"{'':34}{'median s':>9}{'least':>9}{'most':>9}{'records/s':>13}{'× found':>8}")
    for connections in (1, 2):
        base = statistics.median(seconds["found", connections])
        for name in conditions:
            line(f"PostgreSQL, {name}, {connections}", seconds[name, connections], arguments.rows, base)
        for depth in DEPTHS:
            for what in ("whole command", "pass"):
                line(f"{depth}, {what}, {connections}", seconds[depth, connections, what], arguments.rows, base)
    print("Peak memory, 2 connections:")
    for depth, few, many in zip(DEPTHS, small, large):
        print(f"  {depth:8}{few:8.1f} MiB at {small_rows:,} rows{many:8.1f} MiB at {arguments.rows:,}")


if __name__ == "__main__":
    main()
