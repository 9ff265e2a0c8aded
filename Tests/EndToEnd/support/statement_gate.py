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

from support.statement_proxy import _reset as reset
from support.step_proxy import _BLOCK, _Said
from support.waiting import wait_until

LOOK_SECONDS = 0.02


class StatementGate:
    """`is_armed` is asked with each statement that the pattern finds."""

    def __init__(self, server, pattern, behind=False, is_armed=lambda: True):
        self.upstream = ("127.0.0.1", server.port)
        self.pattern = re.compile(pattern, re.I | re.S)
        self.behind = behind
        self.is_armed = is_armed
        self.reached = threading.Event()
        self.statements = []
        self._opened = threading.Event()
        self._mutex = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open()
        self._listener.close()

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

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.upstream)
            except OSError:
                return
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client, server):
        said, is_behind = _Said(), False
        try:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(_BLOCK)
                    if not data:
                        return
                    if ready is server:
                        client.sendall(data)
                        continue
                    for message, sql in said.messages(data):
                        if sql is not None:
                            if is_behind or self._is_the_statement(sql, before=True):
                                if not self._stand(client, server):
                                    return
                            is_behind = self._is_the_statement(sql, before=False)
                        server.sendall(message)
        except (OSError, ValueError):
            return
        finally:
            reset(client)
            server.close()

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
