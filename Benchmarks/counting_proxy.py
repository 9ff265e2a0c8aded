"""A TCP proxy on loopback that counts the bytes of either direction."""

import socket
import threading

from tcp_relay import TcpRelay

_BLOCK = 1 << 18


class CountingProxy(TcpRelay):
    """`to_server` and `from_server` are complete once the connections have ended."""

    ends_with_reset = False

    def __init__(self, port):
        self.to_server = self.from_server = 0
        super().__init__(port)

    def close(self):
        """The connections that there are go on."""
        self.stop_listening()

    def carry(self, client, server):
        """Each direction in a thread of its own, so that counting slows neither."""
        back = threading.Thread(target=self._carry, args=(server, client, "from_server"), daemon=True)
        back.start()
        self._carry(client, server, "to_server")
        back.join()

    def _carry(self, source, sink, counter):
        buffer = bytearray(_BLOCK)
        try:
            while count := source.recv_into(buffer):
                with self._mutex:
                    setattr(self, counter, getattr(self, counter) + count)
                sink.sendall(memoryview(buffer)[:count])
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
