"""A TCP proxy between the tool and PostgreSQL that meddles with the statements that pass.

It reads the frontend protocol: Parse tells which SQL a prepared statement is, Bind which statement a portal runs,
Execute (or Query) that it runs now. It can cut the connection there, let an UPDATE wait as a slow network does,
or blank a clause out of it. A cut *before* drops the message, so the server never hears of the statement; a cut
*after* hands it to the server, lets the server do it, and closes the client's side at once, so the client cannot
know whether it was done. The second is the lost commit.
"""

import dataclasses
import re
import select
import socket
import struct
import threading

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_BLOCK = 1 << 16

STATEMENTS = {
    "BEGIN": re.compile(r"^\s*(BEGIN|START\s+TRANSACTION)\b", re.I),
    "SELECT": re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.I),
    "UPDATE": re.compile(r"^\s*(WITH\b.*\b)?UPDATE\b", re.I | re.S),
    "COMMIT": re.compile(r"^\s*(COMMIT|END)\b", re.I),
}


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


class StatementProxy:
    """`removed`: a clause blanked out of every statement, the tool as it would be without it.
    `updates_may_pass`: while this event is not set, each UPDATE waits on its way to the server."""

    def __init__(self, host, port, cut=None, removed=None):
        self.upstream = (host, port)
        self.cut = cut
        self.removed = removed
        self.updates_may_pass = threading.Event()
        self.updates_may_pass.set()
        self.updates_waiting = 0
        self.removals_done = 0
        self.cuts_done = 0
        self.statements_seen = []
        self.refusing = False
        self._occasions = 0
        self._mutex = threading.Lock()
        self._sockets = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed = True
        self.updates_may_pass.set()
        self._listener.close()
        self.drop_all()

    def drop_all(self):
        """Resets every connection there is, as a failing network would."""
        with self._mutex:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            _reset(one)

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self.upstream)
            except OSError:
                _reset(client)
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._mutex:
                self._sockets |= {client, server}
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client, server):
        connection = _Frontend(self)
        try:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(_BLOCK)
                    if not data:
                        return
                    if ready is server:
                        client.sendall(data)
                        continue
                    passed, cut = connection.receive(data)
                    if passed:
                        server.sendall(passed)
                    if cut:
                        self._cut(client, server)
                        return
        except (OSError, ValueError):
            return
        finally:
            with self._mutex:
                self._sockets -= {client, server}
            for one in (client, server):
                one.close()

    def _cut(self, client, server):
        """The client sees a reset at once. The server reads all that was passed, then the end of the stream;
        draining its answers keeps the kernel from resetting that side before the server has read its last message."""
        _reset(client)
        server.shutdown(socket.SHUT_WR)
        while server.recv(_BLOCK):
            pass

    def _hold_update(self):
        if self.updates_may_pass.is_set():
            return
        with self._mutex:
            self.updates_waiting += 1
        self.updates_may_pass.wait()
        with self._mutex:
            self.updates_waiting -= 1

    def _without_removed_clause(self, message):
        """Spaces of the same length, so that the message's own length stays true."""
        if self.removed is None or self.removed not in message:
            return message
        with self._mutex:
            self.removals_done += 1
        return message.replace(self.removed, b" " * len(self.removed))

    def _is_occasion(self, sql, connection) -> bool:
        """Whether to cut now, at the execution of `sql`."""
        with self._mutex:
            self.statements_seen.append(" ".join(sql.split())[:80])
            cut = self.cut
            if STATEMENTS["UPDATE"].search(sql):
                connection.has_written = True
            if cut is None or self.cuts_done >= cut.times or not STATEMENTS[cut.statement].search(sql):
                return False
            if (cut.of_a_writer or cut.statement == "COMMIT") and not connection.has_written:
                return False
            self._occasions += 1
            if self._occasions % cut.every:
                return False
            self.cuts_done += 1
            return True


class _Frontend:
    """What one client has said: the unfinished message, its prepared statements and portals."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.has_written = False
        self._buffer = b""
        self._started = False
        self._statements, self._portals = {}, {}

    def receive(self, data):
        """Returns the whole messages to pass on, and whether to cut after passing them."""
        self._buffer += data
        passed = b""
        while True:
            message = self._next_message()
            if message is None:
                return passed, False
            message = self.proxy._without_removed_clause(message)
            sql = self._executed_sql(message)
            if sql is not None and STATEMENTS["UPDATE"].search(sql):
                self.proxy._hold_update()
            if sql is not None and self.proxy._is_occasion(sql, self):
                return (passed + message if self.proxy.cut.after else passed), True
            passed += message

    def _next_message(self):
        header = 4 if not self._started else 5
        if len(self._buffer) < header:
            return None
        (length,) = struct.unpack("!I", self._buffer[header - 4 : header])
        total = length + header - 4
        if len(self._buffer) < total:
            return None
        message, self._buffer = self._buffer[:total], self._buffer[total:]
        if not self._started:
            (code,) = struct.unpack("!I", message[4:8])
            # The server answers a request for encryption with one byte, then the start-up packet follows.
            self._started = code not in (_SSL_REQUEST, _GSS_REQUEST)
            return message
        return message

    def _executed_sql(self, message):
        kind, body = message[:1], message[5:]
        if kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._statements[name] = sql.decode(errors="replace")
        elif kind == b"B":
            portal, statement, _ = body.split(b"\0", 2)
            self._portals[portal] = self._statements.get(statement, "")
        elif kind == b"E":
            return self._portals.get(body.split(b"\0", 1)[0], "")
        elif kind == b"Q":
            return body.rstrip(b"\0").decode(errors="replace")
        return None


def _reset(one):
    """Closes with RST: the peer's next read or write fails, nothing is flushed."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    one.close()
