"""What a fence costs, and how long adding it holds a writer.

    scripts/bench fence [--rows N]          on a private server

Costs are the server process's own CPU time (from /proc), with fence less without, so that a busy machine bears on
them little. A fence is added and validated on N rows while writers work; the figures are in docs/fence.md.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import psycopg2

from envelope_reference import MEMBERS, KeyEncryptionKey, Spelling, seal
from private_postgres import PrivatePostgres
from tool_process import binary_path

TYPES = ["bytea", "text", "json", "jsonb"]
OLD, NEW = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v2")
SPELLINGS = {
    "usual order": Spelling(),
    "another order": Spelling(order=MEMBERS[::-1]),
    "holds the retired id": Spelling(unknown=((0, '"was"', '{"key_id":"kek-v1"}'),)),
    "holds \\u00": Spelling(escaped_values=frozenset(["key_id"])),
}
STATEMENTS, ROWS_AT_ONCE, REPEATS = 500, 5_000, 7


class Tool:
    def __init__(self, directory, url):
        self.catalog = directory / "catalog.yaml"
        self.environment = {
            "DATABASE_URL": url,
            "SECRETS_ENCRYPTION_KEY": NEW.setting,
            "SECRETS_ENCRYPTION_KEY_PREVIOUS": OLD.setting,
        }
        self.directory = directory

    def fence(self, verb, table, *arguments, check=True):
        self.catalog.write_text(json.dumps({"tables": [{"name": table, "encrypted_columns": ["v"]}]}))
        return subprocess.run(
            [binary_path(), "fence", verb, "--catalog", self.catalog, *arguments],
            env=self.environment, cwd=self.directory, capture_output=True, text=True, check=check,
        )  # fmt: skip


def cpu_seconds(pid) -> float:
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def cost(cursor, pid, call, count) -> float:
    """µs of the server's CPU for each of `count`, the least of several times."""
    best = float("inf")
    for _ in range(REPEATS):
        start = cpu_seconds(pid)
        cursor.execute(call)
        best = min(best, cpu_seconds(pid) - start)
    return best / count * 1e6


def measure_costs(url, tool):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    pid = cursor.fetchone()[0]
    print("µs of server CPU: without fence, with it, difference")
    for kind in TYPES:
        for table in ("plain", "fenced"):
            cursor.execute(f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id int PRIMARY KEY, v {kind})")
        tool.fence("add", "fenced")
        for label, spelling in SPELLINGS.items():
            value = seal(NEW, b"x" * 40, spelling).text
            constant = f"convert_to('{value.replace(chr(92), chr(92) * 2)}', 'UTF8')" if kind == "bytea" else f"'{value}'"
            constant = constant.replace("convert_to('", "convert_to(E'")
            for what in ("INSERT, many rows a statement", "INSERT, one row a statement", "UPDATE, one row a statement"):
                figures = []
                for table in ("plain", "fenced"):
                    cursor.execute(f"TRUNCATE {table}")
                    if "many" in what:
                        call = f"INSERT INTO {table} SELECT nextval('n'), {constant} FROM generate_series(1, {ROWS_AT_ONCE})"
                        count = ROWS_AT_ONCE
                    else:
                        statement = (
                            f"INSERT INTO {table} VALUES (nextval(''n''), $1)"
                            if what.startswith("INSERT")
                            else f"UPDATE {table} SET v = $1 WHERE id = 1"
                        )
                        cursor.execute(f"INSERT INTO {table} VALUES (1, NULL)")
                        call = (
                            f"DO $d$ DECLARE v {kind} := {constant}; BEGIN FOR i IN 1..{STATEMENTS} LOOP "
                            f"EXECUTE '{statement}' USING v; END LOOP; END $d$"
                        )
                        count = STATEMENTS
                    cursor.execute("DROP SEQUENCE IF EXISTS n; CREATE SEQUENCE n START 2 CACHE 1000")
                    figures.append(cost(cursor, pid, call, count))
                print(
                    f"  {kind:6} {label:21} {what:30} {figures[0]:7.2f} {figures[1]:7.2f} {figures[1] - figures[0]:7.2f}",
                    flush=True,
                )
    connection.close()


def writer(url, stop, worst, errors):
    connection = psycopg2.connect(url, application_name="writer")
    connection.autocommit = True
    value = seal(NEW, b"x" * 40).bytes
    number = 0
    with connection.cursor() as cursor:
        while not stop.is_set():
            number += 1
            start = time.monotonic()
            try:
                cursor.execute("UPDATE live SET v = %s WHERE id = %s", (value, number % 1_000 + 1))
            except psycopg2.Error as error:
                errors.append(error)
                return
            worst[0] = max(worst[0], time.monotonic() - start)
            worst[1] += 1


def measure_adding(url, tool, rows):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    value = seal(NEW, b"x" * 40).bytes
    cursor.execute("DROP TABLE IF EXISTS live; CREATE TABLE live (id int PRIMARY KEY, v bytea)")
    cursor.execute("INSERT INTO live SELECT g, %s FROM generate_series(1, %s) g", (value, rows))
    cursor.execute("VACUUM ANALYZE live")
    for label, held_seconds, arguments in (
        ("writers alone", 0, []),
        ("a transaction of 5 s in the way, time-out 2 s", 5, []),
        ("a transaction of 5 s in the way, time-out 200 ms", 5, ["--lock-timeout", "200"]),
    ):
        stop, worst, errors = threading.Event(), [0.0, 0], []
        threads = [threading.Thread(target=writer, args=(url, stop, worst, errors)) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        idle, worst[0] = worst[0], 0.0
        blocker = psycopg2.connect(url, application_name="report")
        with blocker.cursor() as other:
            other.execute("SELECT 1 FROM live LIMIT 1")
        timer = threading.Timer(held_seconds, blocker.rollback)
        timer.start()
        start = time.monotonic()
        outcome = tool.fence("add", "live", *arguments)
        seconds = time.monotonic() - start
        stop.set()
        for thread in threads:
            thread.join()
        timer.join()
        blocker.close()
        validated = [line for line in outcome.stderr.splitlines() if "validated" in line]
        print(
            f"  {label}: {seconds:.1f} s in all; slowest of {worst[1]} updates {worst[0] * 1e3:.0f} ms "
            f"(before: {idle * 1e3:.0f} ms); {len(errors)} errors; {outcome.stderr.count('came to nothing')} attempts "
            f"in vain; {validated[0][21:] if validated else '-'}",
            flush=True,
        )
        tool.fence("drop", "live")
    # One old row among all, in another order and with a decoy of the new id, found by VALIDATE alone.
    sql = tool.fence("add", "live", "--print-sql").stdout
    decoy = Spelling(order=MEMBERS[::-1], unknown=((0, '"a"', '{"key_id":"kek-v2"}'),))
    cursor.execute("UPDATE live SET v = %s WHERE id = %s", (seal(OLD, b"x", decoy).bytes, rows // 2))
    try:
        cursor.execute("".join(line + "\n" for line in sql.splitlines() if "VALIDATE" not in line))
        start = time.monotonic()
        cursor.execute("".join(line for line in sql.splitlines() if "VALIDATE" in line))
        print("  the old row was NOT found")
    except psycopg2.errors.CheckViolation as error:
        print(f"  one old row among {rows}: VALIDATE refused after {time.monotonic() - start:.2f} s ({error.diag.constraint_name})")
    connection.close()


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench fence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reencrypt-fence-") as name:
        os.chmod(name, 0o755)
        directory = pathlib.Path(name)
        with PrivatePostgres(directory / "pg", {"max_wal_size": "4GB"}) as server:
            url = server.url()
            tool = Tool(directory, url)
            measure_costs(url, tool)
            measure_adding(url, tool, arguments.rows)


if __name__ == "__main__":
    main()
