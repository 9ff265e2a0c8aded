"""Reads what a client says to PostgreSQL: whole messages, and the SQL that each of them executes.

Parse tells which SQL a prepared statement is, Bind which statement a portal runs, Execute (or Query) that it runs now.
"""

import struct

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class FrontendMessages:
    """`is_started`: the start-up packet has been read, so messages have a type."""

    def __init__(self):
        self.is_started = False
        self._buffer = b""
        self._statements, self._portals = {}, {}

    def read(self, data):
        """The messages that `data` completes, each with the SQL that it executes, or None."""
        self._buffer += data
        while (message := self._next()) is not None:
            message = self.rewritten(message)
            yield message, self._executed(message)

    def rewritten(self, message) -> bytes:
        """A message of the same length that takes the place of one; the same one unless a subclass says otherwise."""
        return message

    def _next(self):
        header = 5 if self.is_started else 4
        if len(self._buffer) < header:
            return None
        (length,) = struct.unpack("!I", self._buffer[header - 4 : header])
        total = length + header - 4
        if len(self._buffer) < total:
            return None
        message, self._buffer = self._buffer[:total], self._buffer[total:]
        if not self.is_started:
            (code,) = struct.unpack("!I", message[4:8])
            # The server answers a request for encryption with one byte, then the start-up packet follows.
            self.is_started = code not in (_SSL_REQUEST, _GSS_REQUEST)
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
