"""A small Redis client: commands in, Python values out. A server's error is raised, nil is None, text stays bytes."""

import socket
import urllib.parse


class RedisError(RuntimeError):
    """What the server answered with a minus sign."""


class RedisAway(ConnectionError):
    """The connection ended."""


def encoded(arguments) -> bytes:
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class RespReader:
    """Values of the protocol from a socket; `raw` holds the bytes of the last one exactly."""

    def __init__(self, connection):
        self._connection = connection
        self._buffer = b""
        self._position = 0
        self.raw = b""

    def read(self):
        self._buffer = self._buffer[self._position :]
        self._position = 0
        value = self._value()
        self.raw = self._buffer[: self._position]
        return value

    def _fill(self):
        data = self._connection.recv(1 << 16)
        if not data:
            raise RedisAway("the connection ended")
        self._buffer += data

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._position)) < 0:
            self._fill()
        line = self._buffer[self._position : end]
        self._position = end + 2
        return line

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self._value() for _ in range(int(rest))]
        raise RedisAway(f"not of the protocol: {line[:40]!r}")

    def _bulk(self, length) -> bytes:
        end = self._position + length
        blocks, missing = [], end + 2 - len(self._buffer)
        while missing > 0:
            data = self._connection.recv(min(1 << 20, max(missing, 1 << 16)))
            if not data:
                raise RedisAway("the connection ended")
            blocks.append(data)
            missing -= len(data)
        self._buffer += b"".join(blocks)
        value = self._buffer[self._position : end]
        self._position = end + 2
        return value


class RedisClient:
    """One connection, dialled at the first command and again after it was lost."""

    def __init__(self, url, timeout=10.0):
        self._url = urllib.parse.urlsplit(url)
        self._timeout = timeout
        self._connection = None

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _dial(self):
        self._connection = socket.create_connection((self._url.hostname, self._url.port), self._timeout)
        self._reader = RespReader(self._connection)
        self._exchange([("AUTH", self._url.password)])
        database = self._url.path.strip("/")
        if database and database != "0":
            self._exchange([("SELECT", database)])

    def _exchange(self, commands) -> list:
        self._connection.sendall(b"".join(map(encoded, commands)))
        replies = [self._reader.read() for _ in commands]
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def pipeline(self, commands) -> list:
        """A connection left from before that turns out to be dead is dialled again, once."""
        while True:
            was_open = self._connection is not None
            try:
                if not was_open:
                    self._dial()
                return self._exchange(commands)
            except OSError as error:
                self.close()
                if not was_open:
                    raise RedisAway(str(error)) from error

    def command(self, *arguments):
        return self.pipeline([arguments])[0]

    def transaction(self, commands) -> list:
        """All at one instant."""
        return self.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]

    def hash(self, key) -> dict:
        return fields(self.command("HGETALL", key))


def fields(reply) -> dict:
    texts = [item.decode(errors="replace") for item in reply]
    return dict(zip(texts[::2], texts[1::2]))
