"""Who waits for whom: how long an application's statement waits because of the tool, and what the tool waits for.

An application's statement may wait behind a DDL statement that itself waits for a lock of the tool. That wait is the tool's
doing. A wait for a lock that a deed holds is not.
"""

import threading
import time

import psycopg2

INTERVAL_SECONDS = 0.02
TOOL, APPLICATION, DEED = "reencrypt-secrets", "application", "adversary deed"


class LockWatch(threading.Thread):
    def __init__(self, world, gate):
        """While the gate is shut the tool cannot give way: that time does not count."""
        super().__init__(daemon=True)
        self.world, self.gate = world, gate
        self.longest = 0.0
        self.longest_behind = ""
        self._since = {}
        self._blockers_of_tool = set()
        self._stop_event = threading.Event()

    def is_waited_for(self, pid) -> bool:
        """Whether the tool waits for this process now; 0 is a prepared transaction."""
        return pid in self._blockers_of_tool

    def stop(self):
        self._stop_event.set()
        self.join(10)

    def run(self):
        connection = self.world.connect("adversary watch")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while not self._stop_event.wait(INTERVAL_SECONDS):
                    cursor.execute(
                        "SELECT pid, application_name, wait_event_type IS NOT DISTINCT FROM 'Lock', "
                        "CASE WHEN wait_event_type = 'Lock' THEN pg_catalog.pg_blocking_pids(pid) ELSE '{}' END, "
                        "pg_catalog.left(query, 120) "
                        "FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database()")  # fmt: skip
                    self._look(cursor.fetchall())
        except psycopg2.Error as error:
            self.world.log(f"-- watch: {error}")
        finally:
            connection.close()

    def _look(self, rows):
        now = time.monotonic()
        names = {pid: name for pid, name, *_ in rows}
        queries = {pid: query for pid, *_, query in rows}
        blockers = {pid: set(by) for pid, _, _, by, _ in rows}
        tool = {pid for pid, name in names.items() if name.startswith(TOOL)}
        self._blockers_of_tool = set().union(*(blockers[pid] for pid in tool)) if tool else set()
        waiting = set()
        if self.gate.is_shut:
            self._since.clear()
            return
        for pid, name in names.items():
            if name != APPLICATION or not blockers[pid]:
                continue
            behind = self._roots(pid, blockers) & tool
            if behind:
                waiting.add(pid)
                since = self._since.setdefault(pid, now)
                if now - since > self.longest:
                    self.longest = now - since
                    self.longest_behind = " | ".join(queries[one] for one in sorted(behind))
        for pid in set(self._since) - waiting:
            del self._since[pid]

    def _roots(self, pid, blockers) -> set:
        """Those at the end of the chain: they hold a lock and wait for nobody."""
        seen, roots, todo = set(), set(), [pid]
        while todo:
            one = todo.pop()
            if one in seen:
                continue
            seen.add(one)
            following = blockers.get(one, set())
            if not following and one != pid:
                roots.add(one)
            todo += following
        return roots
