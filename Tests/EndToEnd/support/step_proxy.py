"""A TCP proxy between a worker and PostgreSQL that lets a transaction come to one step and no further.

The step is a statement and a side of it: `before` keeps it, and all that follows, from the server; `after` lets the
server do it and keeps what follows. From then on nothing passes on that connection in either direction, as if the
network or the process stood still, until `release()`.
"""

import dataclasses
import select
import socket
import struct
import threading

from support.statement_proxy import STATEMENTS, _reset as reset

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_BLOCK = 1 << 16

@dataclasses.dataclass(frozen=True)
class Step:
    statement: str
    after: bool

    def __str__(self):
        return f"{'after' if self.after else 'before'} {self.statement}"


class StepProxy:
    """`on_reached` is called once, when the first transaction comes to the step after `is_armed()` has become true."""

    def __init__(self, host, port, step, on_reached, is_armed):
        self.upstream = (host, port)
        self.step = step
        self.on_reached = on_reached
        self.is_armed = is_armed
        self.reached = threading.Event()
        self._released = threading.Event()
        self._mutex = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def release(self):
        self._released.set()

    def close(self):
        self.release()
        self._listener.close()

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
        said = _Said()
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
                        self._pass_on(message, sql, server)
        except OSError:
            return
        finally:
            reset(client)
            server.close()

    def _pass_on(self, message, sql, server):
        is_step = sql is not None and STATEMENTS[self.step.statement].search(sql) and self.is_armed()
        if is_step and not self.step.after:
            self._stand_still()
        server.sendall(message)
        if is_step and self.step.after:
            # Flush: otherwise the server might keep what it was sent until the end of the pipeline.
            server.sendall(b"H\0\0\0\4")
            self._stand_still()

    def _stand_still(self):
        with self._mutex:
            if self.reached.is_set():
                return
            self.reached.set()
        self.on_reached()
        self._released.wait()


class _Said:
    """What one client has said: whole messages, each with the SQL that it executes."""

    def __init__(self):
        self._buffer = b""
        self._started = False
        self._statements, self._portals = {}, {}

    def messages(self, data):
        self._buffer += data
        while (message := self._next()) is not None:
            yield message, self._executed(message)

    def _next(self):
        header = 5 if self._started else 4
        if len(self._buffer) < header:
            return None
        total = struct.unpack("!I", self._buffer[header - 4 : header])[0] + header - 4
        if len(self._buffer) < total:
            return None
        message, self._buffer = self._buffer[:total], self._buffer[total:]
        if not self._started:
            (code,) = struct.unpack("!I", message[4:8])
            self._started = code not in (_SSL_REQUEST, _GSS_REQUEST)
            return message
        return message

    def _executed(self, message):
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
