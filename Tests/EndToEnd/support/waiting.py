"""Waiting for an event instead of sleeping for a guess."""

import time


def wait_until(condition, what, timeout=30.0, interval=0.01):
    """Polls `condition` until it is true and returns its value; fails naming `what` after the deadline."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(interval)
