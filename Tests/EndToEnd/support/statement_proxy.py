"""A TCP proxy between the tool and PostgreSQL that meddles with the statements that pass.

It can cut the connection at a statement, let an UPDATE wait as a slow network does, or blank a clause out of every
statement. A cut *before* drops the message, so the server never hears of the statement; a cut *after* hands it to the
server, lets the server do it, and closes the client's side at once, so the client cannot know whether it was done. The
second is the lost commit.
"""

import dataclasses
import socket
import threading

from support.postgres_relay import STATEMENTS, PostgresRelay, Session
from tcp_relay import BLOCK, reset


@dataclasses.dataclass
class Cut:
    """Where to cut: at a statement, before or after it reaches the server.

    `of_a_writer`: only on a connection that has sent an UPDATE already, or that is sending one now. COMMIT is cut
    there only, since other transactions have nothing to lose. `times`: how often; every `every`-th occasion.
    """

    statement: str
    after: bool
    of_a_writer: bool = False
    times: int = 1
    every: int = 1


class _Session(Session):
    has_written = False

    def rewritten(self, message) -> bytes:
        return self.relay.without_removed_clause(message)


class StatementProxy(PostgresRelay):
    """`removed`: a clause blanked out of every statement, the tool as it would be without it.
    `updates_may_pass`: while this event is not set, each UPDATE waits on its way to the server."""

    session = _Session
    # What the server said last before it closed is read by the client.
    ends_with_reset = False

    def __init__(self, host, port, cut=None, removed=None):
        self.cut = cut
        self.removed = removed
        self.updates_may_pass = threading.Event()
        self.updates_may_pass.set()
        self.updates_waiting = 0
        self.removals_done = 0
        self.cuts_done = 0
        self.statements_seen = []
        self._occasions = 0
        super().__init__(port, host)

    def close(self):
        self.updates_may_pass.set()
        super().close()

    def meet(self, message, sql, session) -> bool:
        if sql is not None and STATEMENTS["UPDATE"].search(sql):
            self._hold_update()
        if sql is None or not self._is_occasion(sql, session):
            session.pass_on(message)
            return True
        if self.cut.after:
            session.pass_on(message)
        session.flush()
        self._cut(session)
        return False

    def _cut(self, session):
        """The client sees a reset at once. The server reads all that was passed, then the end of the stream;
        draining its answers keeps the kernel from resetting that side before the server has read its last message."""
        reset(session.client)
        session.server.shutdown(socket.SHUT_WR)
        while session.server.recv(BLOCK):
            pass

    def _hold_update(self):
        if self.updates_may_pass.is_set():
            return
        with self._mutex:
            self.updates_waiting += 1
        self.updates_may_pass.wait()
        with self._mutex:
            self.updates_waiting -= 1

    def without_removed_clause(self, message):
        """Spaces of the same length, so that the message's own length stays true."""
        if self.removed is None or self.removed not in message:
            return message
        with self._mutex:
            self.removals_done += 1
        return message.replace(self.removed, b" " * len(self.removed))

    def _is_occasion(self, sql, session) -> bool:
        """Whether to cut now, at the execution of `sql`."""
        with self._mutex:
            self.statements_seen.append(" ".join(sql.split())[:80])
            cut = self.cut
            if STATEMENTS["UPDATE"].search(sql):
                session.has_written = True
            if cut is None or self.cuts_done >= cut.times or not STATEMENTS[cut.statement].search(sql):
                return False
            if (cut.of_a_writer or cut.statement == "COMMIT") and not session.has_written:
                return False
            self._occasions += 1
            if self._occasions % cut.every:
                return False
            self.cuts_done += 1
            return True
