"""Waiting for an event instead of sleeping for a guess."""

import time

# However dear a condition is, it is asked about ten times a second.
LONGEST_INTERVAL = 0.1


def wait_until(condition, what, timeout=30.0, interval=0.01):
    """Polls `condition` until it is true and returns its value; fails naming `what` after the deadline.

    A condition that takes long, such as a look at the database, is asked less often: most of the machine is left to what
    is waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        asked = time.monotonic()
        value = condition()
        now = time.monotonic()
        if value:
            return value
        if now > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(max(interval, min(2 * (now - asked), LONGEST_INTERVAL)))
