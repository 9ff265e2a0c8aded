"""Starts servers on a thread that lives as long as the run does.

The kernel ends a private server when the *thread* that started it ends (PR_SET_PDEATHSIG); a fault's thread ends with
its round.
"""

import concurrent.futures


class LastingThread:
    def __init__(self):
        self._executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)

    def call(self, function, *arguments):
        return self._executor.submit(function, *arguments).result()
