"""A TCP proxy on loopback that counts the bytes of either direction."""

import socket
import threading

_BLOCK = 1 << 18


class CountingProxy:
    """`to_server` and `from_server` are complete once the connections have ended."""

    def __init__(self, port):
        self.upstream = ("127.0.0.1", port)
        self.to_server = self.from_server = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.upstream)
            for source, sink, counter in ((near, far, "to_server"), (far, near, "from_server")):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._carry, args=(source, sink, counter), daemon=True).start()

    def _carry(self, source, sink, counter):
        buffer = bytearray(_BLOCK)
        try:
            while count := source.recv_into(buffer):
                with self._lock:
                    setattr(self, counter, getattr(self, counter) + count)
                sink.sendall(memoryview(buffer)[:count])
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
