"""What every TCP proxy of the tests and measurements is made of: it listens on loopback and connects each client to a server.

A subclass says in `carry` what becomes of what passes on one connection. The base only accepts, connects, resets and closes.
"""

import select
import socket
import struct
import threading

BLOCK = 1 << 16


class TcpRelay:
    """`refusing`: while true each client is reset as soon as it has connected."""

    # Whether the client of a connection that has ended sees a reset; otherwise it sees the end of the stream.
    ends_with_reset = True

    def __init__(self, port, host="127.0.0.1"):
        self.upstream = (host, port)
        self.refusing = False
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
        self.stop_listening()
        self.drop_all()

    def stop_listening(self):
        """The connections that there are go on."""
        with self._mutex:
            self._closed = True
        try:
            # Closing alone would not wake the thread that accepts: it would take one more client.
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def drop_all(self):
        """Resets every connection there is, as a failing network would."""
        with self._mutex:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            reset(one)

    def carry(self, client, server):
        """Serves one connection until it returns; both sockets are closed then. By default all passes as it is."""
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(BLOCK)
                if not data:
                    return
                (client if ready is server else server).sendall(data)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                reset(client)
                continue
            try:
                server = socket.create_connection(self.upstream)
            except OSError:
                reset(client)
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._mutex:
                is_late = self._closed
                if not is_late:
                    self._sockets |= {client, server}
            if is_late:
                reset(client)
                server.close()
                return
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client, server):
        try:
            self.carry(client, server)
        except (OSError, ValueError):
            # One of the two ends has gone, or its socket was closed here.
            return
        finally:
            with self._mutex:
                self._sockets -= {client, server}
            if self.ends_with_reset:
                reset(client)
            client.close()
            server.close()


def reset(one):
    """Closes with RST: the peer's next read or write fails, nothing is flushed."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    one.close()
