"""When a deed begins and when it is committed."""

import dataclasses
import time

from gate import Moment

# How many statements of a kind a command is likely to have.
MOST = {"shape": 44, "statement": 230, "snapshot": 2, "after snapshot": 2, "lock": 12, "after lock": 12, "write": 8}
MOST_IN_ROTATION = {**MOST, "shape": 66, "statement": 260}
WAITED_FOR_SECONDS = 0.15
LONGEST_OPEN_SECONDS = 3.0
COMMITS = ("when waited for", "at the end", "later")


@dataclasses.dataclass
class Schedule:
    """`begins`: before (committed before the tool starts), open (begun before, not committed), moment."""

    begins: str
    moment: Moment = None
    commits: str = "at once"
    later: float = 0.0
    prepares: bool = False
    _waited_since: float = None

    def __str__(self):
        place = f"at {self.moment}" if self.moment else self.begins
        return f"{place}, {'prepared, ' if self.prepares else ''}commit {self.commits}" + (
            f" ({self.later:.1f} s)" if self.commits == "later" else "")  # fmt: skip

    def is_due(self, deed, watch, began) -> bool:
        """Whether an open deed is to be committed now."""
        now = time.time()
        if now - max(began, deed.effective_at or began) > LONGEST_OPEN_SECONDS:
            return True
        if self.commits == "later":
            return now - began > self.later
        if self.commits == "when waited for":
            if watch.is_waited_for(deed.pid) and self._waited_since is None:
                self._waited_since = now
            return self._waited_since is not None and now - self._waited_since > WAITED_FOR_SECONDS
        return self.commits == "at once"


def chosen(rng, kind, script, is_rotation) -> Schedule:
    if kind.effect == "static" or not script.steps:
        return Schedule("before")
    begins = rng.choices(["before", "open", "moment"], [1, 4, 5])[0]
    if begins == "before":
        return Schedule("before")
    commits = rng.choice(COMMITS) if begins == "open" or rng.random() < 0.4 else "at once"
    moment = None
    if begins == "moment":
        of_kind = rng.choices(Moment.KINDS, [4, 2, 3, 3, *((0, 0, 2) if is_rotation else (1, 1, 0))])[0]
        most = MOST_IN_ROTATION if is_rotation else MOST
        moment = Moment(of_kind, rng.randint(1, most[of_kind]))
    later, prepares = rng.uniform(0.2, 2), rng.random() < 0.25
    if script.outside_block:
        return Schedule(begins, moment)
    return Schedule(begins, moment, commits, later, prepares and commits != "at once" and not script.stays)
