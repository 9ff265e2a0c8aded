"""Measures how fast `run` rotates, beside what the server could do at all, in one go on one server.

The subject: a table of 331-byte envelopes in a bytea column, time-ordered uuid keys, fillfactor 100,
`synchronous_commit=on`, rotated by `run` with two lanes. The floor: `UPDATE … SET col = <constant of the same
size>` on an identical table, in 1,000-row key ranges over two connections, inside the server, a commit a
range: no crypto, no transfer. The ratio of the two is what can be compared between machines.

    measure_rate.py [--rows 1000000] [--json]

The tool is REENCRYPT_BINARY, by default the release build of this checkout.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

from envelope_reference import KeyEncryptionKey, key_id, open_envelope, seal_canonical
from private_postgres import PrivatePostgres

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# A plaintext of 89 bytes makes a canonical envelope under a six-letter key id 331 bytes long.
PLAINTEXT_BYTES = 89
ENVELOPE_BYTES = 331
DISTINCT_ENVELOPES = 4_096
FLOOR_RANGE_ROWS = 1_000
LANES = 2
MEMORY_SAMPLE_SECONDS = 0.01


def binary_path() -> pathlib.Path:
    default = REPOSITORY / ".build/release/reencrypt-secrets"
    return pathlib.Path(os.environ.get("REENCRYPT_BINARY", default))


def load_envelopes(connection, table, rows, kek, plaintext_bytes=PLAINTEXT_BYTES):
    """A table of `rows` valid envelopes, multiplied inside the server from a few thousand distinct ones.

    The same envelope in many rows is no ease for the tool: it unwraps and wraps each row's DEK all the same.
    """
    sample = [seal_canonical(kek, os.urandom(plaintext_bytes)).encode() for _ in range(min(rows, DISTINCT_ENVELOPES))]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE sample (n integer PRIMARY KEY, envelope bytea)")
        cursor.executemany("INSERT INTO sample VALUES (%s, %s)", list(enumerate(sample)))
        cursor.execute(f"CREATE TABLE {table} (id uuid PRIMARY KEY, api_key_encrypted bytea NOT NULL)")
        # 48 bits of time, the version, the rest from the row's number: version 7 without a function for it.
        cursor.execute(
            f"""
            INSERT INTO {table}
            SELECT (lpad(to_hex(1700000000000 + row), 12, '0') || '7' || lpad(to_hex(row %% 4096), 3, '0')
                    || '8' || substr(md5(row::text), 1, 15))::uuid,
                   envelope
            FROM generate_series(0, %s) AS series (row) JOIN sample ON n = row %% %s
            ORDER BY 1
            """,
            (rows - 1, len(sample)),
        )
        cursor.execute("DROP TABLE sample")


def settle(connection, table):
    """The same start for either measurement: hint bits set, statistics known, no checkpoint due."""
    connection.commit()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("CHECKPOINT")
    connection.autocommit = False


# MARK: the floor

FLOOR_PROGRAM = """
DO $$
DECLARE
    constant_value bytea := convert_to(repeat('x', {size}), 'UTF8');
    key_range record;
BEGIN
    FOR key_range IN SELECT low, high FROM floor_ranges WHERE number %% {lanes} = {lane} ORDER BY number LOOP
        UPDATE {table} SET api_key_encrypted = constant_value WHERE id BETWEEN key_range.low AND key_range.high;
        COMMIT;
    END LOOP;
END $$
""".replace("%%", "%")


def measure_floor(server, table, rows, envelope_bytes=ENVELOPE_BYTES) -> float:
    """Rows a second of plain in-server updates: the best that any client could reach."""
    connection = psycopg2.connect(server.url())
    with connection, connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE TABLE floor_ranges AS
            SELECT number, min(id::text)::uuid AS low, max(id::text)::uuid AS high
            FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / {FLOOR_RANGE_ROWS} AS number FROM {table}) ids
            GROUP BY number
            """
        )
    settle(connection, table)
    connection.close()

    errors = []

    def lane(number):
        try:
            own = psycopg2.connect(server.url())
            own.autocommit = True
            with own.cursor() as cursor:
                cursor.execute(
                    FLOOR_PROGRAM.format(size=envelope_bytes, lanes=LANES, lane=number, table=table)
                )
            own.close()
        except psycopg2.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(LANES)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return rows / (time.monotonic() - started)


# MARK: the tool


def peak_memory_kib(pid):
    """VmHWM: the peak of this program alone (getrusage's maximum would include the forking parent's)."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def measure_run(server, table, rows, previous, primary, directory, arguments=()):
    """Rows a second of one `run`, from process start to exit, and its peak memory in KiB."""
    catalog = pathlib.Path(directory) / "encrypted-tables.yaml"
    catalog.write_text(f"tables:\n  - name: {table}\n    encrypted_columns: [api_key_encrypted]\n")
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "DATABASE_URL": server.url(),
        "SECRETS_ENCRYPTION_KEY": primary.setting,
        "SECRETS_ENCRYPTION_KEY_PREVIOUS": previous.setting,
    }
    connection = psycopg2.connect(server.url())
    settle(connection, table)
    command = [str(binary_path()), "run", "--catalog", str(catalog), "--concurrency", str(LANES), *arguments]
    log = pathlib.Path(directory) / "run.log"
    with open(log, "wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, cwd=directory, stdout=output, stderr=output)
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, peak_memory_kib(process.pid))
                time.sleep(MEMORY_SAMPLE_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
        seconds = time.monotonic() - started
    if process.returncode != 0:
        sys.exit(f"run ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
    check_sample(connection, table, primary)
    connection.close()
    return rows / seconds, peak


def check_sample(connection, table, primary):
    """A rate of wrong work is none: a thousand values must open with the primary key alone."""
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT api_key_encrypted FROM {table} TABLESAMPLE BERNOULLI (1) LIMIT 1000")
        for (value,) in cursor:
            if key_id(value) != primary.key_id:
                sys.exit("a value is not under the primary key after the run")
            open_envelope(value, primary)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the sentences")
    parser.add_argument("--set", action="append", default=[], metavar="name=value", help="a setting of the server")
    parser.add_argument("run_arguments", nargs="*", help="further arguments for `run`, after --")
    arguments = parser.parse_args()
    if not binary_path().exists():
        sys.exit(f"{binary_path()} does not exist: run `swift build -c release`, or set REENCRYPT_BINARY")

    previous, primary = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v2")
    settings = {"synchronous_commit": "on", "max_wal_size": "8GB"}
    settings.update(setting.split("=", 1) for setting in arguments.set)
    with tempfile.TemporaryDirectory(prefix="reencrypt-rate-") as directory:
        os.chmod(directory, 0o755)
        with PrivatePostgres(pathlib.Path(directory) / "postgres", settings) as server:
            connection = psycopg2.connect(server.url())
            for table in ("floor_table", "run_table"):
                load_envelopes(connection, table, arguments.rows, previous)
                connection.commit()
            connection.close()
            floor = measure_floor(server, "floor_table", arguments.rows)
            rate, peak = measure_run(
                server, "run_table", arguments.rows, previous, primary, directory, arguments.run_arguments
            )
    result = {
        "rows": arguments.rows,
        "envelope_bytes": ENVELOPE_BYTES,
        "lanes": LANES,
        "run_rows_per_second": round(rate),
        "floor_rows_per_second": round(floor),
        "share_of_floor": round(rate / floor, 3),
        "peak_memory_mib": round(peak / 1024, 1),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            f"run    {rate:>10,.0f} rows/s   ({arguments.rows:,} rows of {ENVELOPE_BYTES} bytes, {LANES} lanes)\n"
            f"floor  {floor:>10,.0f} rows/s   (in-server UPDATE with a constant)\n"
            f"share  {rate / floor:>10.2f}\n"
            f"memory {peak / 1024:>10.1f} MiB at its peak"
        )


if __name__ == "__main__":
    main()
