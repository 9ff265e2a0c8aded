"""What is imposed on everybody at a time: a recovery is measured only where nothing else falls into it."""

import contextlib
import threading
import time


class Impositions:
    def __init__(self):
        self._mutex = threading.Lock()
        self._all = {}

    def begin(self, name):
        with self._mutex:
            identity = object()
            self._all[identity] = [name, time.time(), None]
            return identity

    def end(self, identity):
        with self._mutex:
            self._all[identity][2] = time.time()

    @contextlib.contextmanager
    def during(self, name):
        identity = self.begin(name)
        try:
            yield
        finally:
            self.end(identity)

    def since(self, since, own=None) -> list:
        with self._mutex:
            return sorted(
                {name for identity, (name, _, end) in self._all.items()
                 if identity is not own and (end is None or end >= since)}
            )  # fmt: skip
