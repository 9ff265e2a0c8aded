"""One measure of one case on a fresh subject: what it took, as numbers."""

import os
import sys
import time

import pgcrypto_tables
from bench_server import SUBJECT
from commit_times import commit_times
from counting_proxy import CountingProxy
from envelope_reference import key_id, open_envelope
from floor import floor_assignment, update_in_ranges
from sealed_tables import COLUMN
from tool_process import REPOSITORY, MeasuredProcess
from write_cases import BATCHED, PGCRYPTO, QUEUE, ROW_BY_ROW, RUN

TABLE = "secrets"
WORKERS_START_SECONDS, WORKERS_END_SECONDS = 0.5, 3
# The exit code after SIGTERM.
STOPPED = 143


class WriteMeasures:
    """`values` holds one stored value of each template, for the floor's constant."""

    def __init__(self, server, tool, redis, tool_options, values, keys, directory):
        self.server, self.tool, self.redis, self.tool_options = server, tool, redis, tool_options
        self.values, self.keys, self.directory = values, keys, directory
        self.queues = 0
        # CPU seconds of a case's processes where they find no row at all.
        self.start_up = {}

    # MARK: the floor

    def floor(self, shape, template, connections, rows) -> float:
        """Rows a second."""
        self.server.make_subject(template)
        assignment = floor_assignment(self.values[template], shape.type)
        return rows / update_in_ranges(self.server, TABLE, assignment, connections)

    # MARK: a case

    def measure(self, case, asked, counted=False, sample_memory=False) -> dict:
        """`counted`: bytes on the line and memory, with whose counting the time is worth nothing."""
        rows = case.rows(asked)
        self.server.make_subject(case.template)
        heap, indexes = self.server.sizes(TABLE)
        wal = self.server.wal_position()
        started = time.time()
        if case.how == PGCRYPTO:
            found = self._pgcrypto(case, rows)
        elif counted:
            with CountingProxy(self.server.postgres.port) as proxy:
                found = self._processes(case, rows, proxy.port, True)
            found |= {"bytes_to_server": proxy.to_server / rows, "bytes_from_server": proxy.from_server / rows}
        else:
            found = self._processes(case, rows, None, sample_memory)
        found["wal_bytes"] = (self.server.wal_position() - wal) / rows
        if case.most_rows is None:
            after = self.server.sizes(TABLE)
            found |= {"heap_growth": after[0] / heap, "index_growth": after[1] / indexes}
        times = commit_times(self.server, TABLE, started)
        if times.rows < rows:
            sys.exit(f"{case.name}: {times.rows} of {rows} rows were written")
        found |= {
            "rows": rows,
            "seconds": found["ended"] - found["started"],
            "seconds_before": times.first - found["started"],
            "seconds_after": found["ended"] - times.last,
        }
        found["rate_of_all"] = rows / found["seconds"]
        # One statement of the server's has no start and no census to tell apart.
        found["rate"] = found["rate_of_all"] if case.how == PGCRYPTO else times.rate(case.lanes * case.processes)
        if "cpu_seconds" in found:
            found["cpu_microseconds"] = 1e6 * (found["cpu_seconds"] - self.start_up[self._kind(case)]) / rows
        self._check(case)
        return found

    def measure_start_up(self, case):
        """With nothing to do: what the processes cost at all. Cases of the same processes share it."""
        kind = self._kind(case)
        if case.how == PGCRYPTO or kind in self.start_up:
            return
        self.server.make_subject(case.template)
        self.server.run(f"TRUNCATE {TABLE}", database=SUBJECT)
        self.start_up[kind] = self._processes(case, 0, None, False)["cpu_seconds"]

    def _kind(self, case) -> tuple:
        return case.how, case.lanes, case.processes, case.tls

    # MARK: ways

    def _processes(self, case, rows, port, sample) -> dict:
        url = self.server.url(tls=case.tls, port=port)
        if case.how == RUN:
            processes = [self._run(case, url, sample)]
        elif case.how == QUEUE:
            processes = self._queue(case, url, sample)
        else:
            processes = self._scripts(case, rows, url, sample)
        for process in processes:
            process.expect_success(0, *([STOPPED] if case.how == QUEUE else []))
        return {
            # Workers were there before: the coordinator, the first, begins the work.
            "started": processes[0].started,
            "ended": max(process.ended for process in processes) if case.how != QUEUE else processes[0].ended,
            "cpu_seconds": sum(process.cpu_seconds for process in processes),
            "memory_mib": max(process.peak_mib for process in processes),
        }

    def _run(self, case, url, sample):
        arguments = ("--concurrency", case.lanes, *case.options(self.tool_options))
        return self.tool.start("run", *arguments, database_url=url, sample_memory=sample).wait()

    def _queue(self, case, url, sample):
        self.queues += 1
        servers = {"database_url": url, "redis_url": self.redis.url(), "sample_memory": sample}
        queue = ("--queue", f"bench-{self.queues}")
        workers = [
            self.tool.start("worker", "--exit-when-done", "--concurrency", case.lanes, *queue, **servers)
            for _ in range(case.processes)
        ]
        try:
            time.sleep(WORKERS_START_SECONDS)
            coordinator = self.tool.start("coordinator", *queue, *case.options(self.tool_options), **servers).expect_success()
            deadline = time.monotonic() + WORKERS_END_SECONDS
            while any(worker.runs() for worker in workers) and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            # One that came too late to see the job waits for the next.
            for worker in workers:
                worker.stop()
        return [coordinator, *workers]

    def _scripts(self, case, rows, url, sample):
        python_path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("scripts/support", "Benchmarks"))
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "PYTHONPATH": python_path,
            "DATABASE_URL": url,
            "OLD_KEY": self.tool.old.setting,
            "NEW_KEY": self.tool.new.setting,
        }
        folder = REPOSITORY / "Benchmarks"
        if case.how == ROW_BY_ROW:
            commands = [[sys.executable, folder / "row_by_row_script.py", rows]]
        else:
            assert case.how == BATCHED
            parts = range(case.processes)
            commands = [[sys.executable, folder / "batched_script.py", part, case.processes] for part in parts]
        log = self.directory / "script.log"
        processes = [MeasuredProcess(command, environment, log, sample) for command in commands]
        return [process.wait() for process in processes]

    def _pgcrypto(self, case, rows) -> dict:
        assignment = pgcrypto_tables.reencryption(case.pgcrypto, self.keys, TABLE)
        started = time.time()
        update_in_ranges(self.server, TABLE, assignment, 2)
        return {"started": started, "ended": time.time()}

    # MARK: the result

    def _check(self, case):
        """A rate of wrong work is none: values must open with the new key alone."""
        connection = self.server.connect()
        try:
            if case.how == PGCRYPTO:
                pgcrypto_tables.check(connection, TABLE, case.pgcrypto, self.keys)
                return
            limit = min(200, case.most_rows or 200)
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {COLUMN}::text::bytea FROM {TABLE} ORDER BY id LIMIT {limit}"
                               if case.shape.type != "bytea" else f"SELECT {COLUMN} FROM {TABLE} ORDER BY id LIMIT {limit}")
                for (value,) in cursor:
                    if key_id(value) != self.tool.new.key_id:
                        sys.exit(f"{case.name}: a value is not under the new key")
                    open_envelope(value, self.tool.new)
        finally:
            connection.close()
