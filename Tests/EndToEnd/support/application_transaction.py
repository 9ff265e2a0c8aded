"""A transaction of an application in a thread of its own: its statements may have to wait for the tool's locks."""

import threading
import time

import psycopg2

from support.waiting import wait_until


class ApplicationTransaction:
    """Runs `sql`, then stays open until `commit()`. With `commits` it commits at once."""

    def __init__(self, database, sql, parameters=None, name="application", commits=False):
        self._database = database
        self._connection = database.connect(name)
        self._sql, self._parameters = sql, parameters
        self._may_commit = threading.Event()
        if commits:
            self._may_commit.set()
        self.has_run, self.is_over = threading.Event(), threading.Event()
        self.error = self.seconds = None
        self.had_to_wait = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        start = time.monotonic()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(self._sql, self._parameters)
            self.seconds = time.monotonic() - start
            self.has_run.set()
            self._may_commit.wait()
            self._connection.commit()
        except psycopg2.Error as error:
            self.error = error
        finally:
            self.seconds = self.seconds or time.monotonic() - start
            self.has_run.set()
            self.is_over.set()

    def _is_waiting(self) -> bool:
        pid = self._connection.info.backend_pid
        return self._database.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", (pid,)) > 0

    def settle(self, timeout=30.0):
        """Until its statements have run (with `commits`: are committed), or wait for a lock of somebody."""
        is_through = self.is_over if self._may_commit.is_set() else self.has_run
        wait_until(lambda: is_through.is_set() or self._is_waiting(), "the application's statement", timeout)
        self.had_to_wait = not is_through.is_set()
        return self

    def commit(self, timeout=60.0):
        """Commits as soon as its statements have run; raises what the server said."""
        self._may_commit.set()
        assert self.is_over.wait(timeout), f"the application still waits after {timeout} s"
        if self.error is not None:
            raise self.error
        return self
