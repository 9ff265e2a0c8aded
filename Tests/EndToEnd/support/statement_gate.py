"""A TCP proxy between the tool and PostgreSQL that stops one connection at a statement, so that a test can act there.

The gate closes once: at the first statement, on whichever connection, that its pattern finds while it is armed. A gate
`behind` a statement lets that pass and keeps the connection's next one: the tool asks for one answer before it asks
the next question, so the server has done what the pattern found. A connection that stands at the gate and is closed
by one of its ends is closed at the other end too: a session that the tool gives up keeps no lock.

The tool asks about a connection that has been silent for five seconds, and gives it up if the server has nothing to
do for it. A test does what it has to do at the gate in less time than that.
"""

import contextlib
import re
import select
import socket
import threading

from support.postgres_relay import PostgresRelay, Session
from support.waiting import wait_until

LOOK_SECONDS = 0.02


class _Session(Session):
    # Whether the statement that a gate is behind has been passed on.
    is_behind = False


class StatementGate(PostgresRelay):
    """`is_armed` is asked with each statement that the pattern finds."""

    session = _Session

    def __init__(self, server, pattern, behind=False, is_armed=lambda: True):
        self.pattern = re.compile(pattern, re.I | re.S)
        self.behind = behind
        self.is_armed = is_armed
        self.reached = threading.Event()
        self.statements = []
        self._opened = threading.Event()
        super().__init__(server.port)

    def close(self):
        """The connections that there are go on."""
        self.open()
        self.stop_listening()

    def open(self):
        """Lets the connection go on; the gate does not close again."""
        self._opened.set()

    def wait_until_reached(self, process, timeout=30.0):
        wait_until(lambda: self.reached.is_set() or not process.is_running(), "a session is at the gate", timeout)
        assert self.reached.is_set(), f"it ended without coming to the gate\n{process.wait()}"

    @contextlib.contextmanager
    def held(self, process, timeout=30.0):
        """The body runs while a session of `process` stands at the gate."""
        self.wait_until_reached(process, timeout)
        try:
            yield
        finally:
            self.open()

    def meet(self, message, sql, session) -> bool:
        if sql is not None:
            if session.is_behind or self._is_the_statement(sql, before=True):
                session.flush()
                if not self._stand(session.client, session.server):
                    return False
            session.is_behind = self._is_the_statement(sql, before=False)
        session.pass_on(message)
        return True

    def _is_the_statement(self, sql, before) -> bool:
        with self._mutex:
            if before:
                self.statements.append(sql)
            if self.reached.is_set() or before == self.behind or not self.pattern.search(sql) or not self.is_armed():
                return False
            if not self.behind:
                self.reached.set()
            return True

    def _stand(self, client, server) -> bool:
        """Waits at the gate; false once one of the two ends has gone."""
        with self._mutex:
            if self.behind and self.reached.is_set():
                return True
            self.reached.set()
        while not self._opened.wait(LOOK_SECONDS):
            for one in select.select([client, server], [], [], 0)[0]:
                # What has been sent meanwhile is left where it is.
                if not one.recv(1, socket.MSG_PEEK):
                    return False
        return True
