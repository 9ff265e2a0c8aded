"""A TCP proxy that adds latency, and nothing else: what is sent together stays together, and what is sent one
after the other is not held up by it, as on a long line."""

import asyncio
import threading

_BLOCK = 1 << 18


class DelayingProxy:
    """`seconds` is added to each direction, so twice that to a round trip."""

    def __init__(self, host, port, seconds):
        self.upstream = (host, port)
        self.seconds = seconds
        self.port = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader, writer):
        """Ends with its source; the end of the stream travels as long as the bytes do."""
        try:
            while data := await reader.read(_BLOCK):
                self._loop.call_later(self.seconds, writer.write, data)
        except OSError:
            pass
        self._loop.call_later(self.seconds, writer.close)
