"""Recoveries that take longer than a lane should wait: of a lead whose holder stands still, from a black hole."""

import time


class Recoveries:
    def __init__(self, world):
        self.world = world

    def of_a_lead(self, kind, role, limit):
        """How long until another one holds the locks of the leader that stands still."""
        self.world.in_background(self._follow_lead, kind, role, role.pid, limit, time.monotonic())

    def _follow_lead(self, kind, role, pid, limit, since):
        while not self.world.is_over.is_set() and role.pid == pid:
            try:
                name = self.world.leader_name()
            except Exception:  # pylint: disable=broad-except
                name = None
            seconds = time.monotonic() - since
            if name in self.world.coordinator_names and name != role.name:
                self.world.findings.recovered(kind, seconds, limit)
                return
            if seconds > 2 * limit:
                self.world.findings.violation(kind, f"nobody has taken over within {seconds:.0f} s\n{self.world.state()}")
                return
            time.sleep(0.1)

    def from_a_black_hole(self, kind, role, pid, route, limit):
        self.world.in_background(self._follow_black_hole_of, kind, role, pid, route, limit)

    def _follow_black_hole_of(self, kind, role, *rest):
        with self.world.occupying(role):
            self._follow_black_hole(kind, role, *rest)

    def _follow_black_hole(self, kind, role, pid, route, limit):
        """From the first request that was swallowed to the next answer of any kind."""
        began = time.monotonic()
        while (swallowed := self.world.board.swallowed_at(route)) is None:
            if self.world.is_over.is_set() or role.pid != pid or time.monotonic() - began > 30:
                return
            time.sleep(0.05)
        wall = time.time()
        while self.world.board.last_answer(route) <= swallowed:
            if self.world.is_over.is_set() or role.pid != pid:
                return
            if time.monotonic() - swallowed > 120:
                self.world.findings.violation(kind, f"no answer reached {role.name} for 120 s\n{role.log_tail()}")
                return
            time.sleep(0.05)
        seconds = self.world.board.last_answer(route) - swallowed
        others = [name for name in self.world.impositions.since(wall) if name != "leading coordinator in a black hole"]
        self.world.findings.say(f"{kind}: {role.name} was heard again after {seconds:.1f} s, beside {others}")
        if seconds <= limit or not others:
            self.world.findings.recovered(kind, seconds, limit)
