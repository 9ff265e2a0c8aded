"""What exit code 0 of each command claims, and whether the oracle agrees.

    run, coordinator, worker   at some moment between the start of the last look and the end of the process, every value of
                               what the catalog's names lead to was labelled with the new key, and the names did not move
    dry run                    the numbers that it says are those of the tables
    verify                     no value needs a key other than the new one: in the catalog's columns and elsewhere
    fence add                  no table of the catalog takes an old value, through its root and in each leaf

A deed that takes effect after the last look excuses a verdict. A deed that had its locks before, and was committed later,
excuses nothing, with one exception: an application's open transaction that has written values, for `run` and its kin.
"""

import dataclasses
import re

NUMBERS = re.compile(r"(?:Would re-encrypt|Re-encrypted) (\d+) of (\d+) records")
OPENED = re.compile(r"Each of ([\d,]+) records")
ROTATIONS = ("run", "coordinator", "worker")


@dataclasses.dataclass
class Judgement:
    """verdict: agreed, undecided, or disagreement."""

    verdict: str
    reason: str = ""


def judge(command, code, output, look, deeds, before, after, taken, foreign_calls) -> Judgement:
    """`before` and `after`: what the oracle saw; `taken`: what the fence let in."""
    if code not in (0, 1, 2):
        return Judgement("disagreement", f"exit code {code}")
    if foreign_calls:
        return Judgement("disagreement", f"code of others ran in the tool's sessions, {foreign_calls} times")
    if code != 0:
        return Judgement("agreed")
    active = [deed for deed in deeds if deed.error is None and deed.began_at is not None]
    late = [deed for deed in active if not deed.was_effective_before(look)]
    false = _falsehood(command, output, active, before, after, taken)
    if not false:
        return Judgement("agreed")
    standing = set(before.not_opened_by_new) & set(after.not_opened_by_new)
    if late and not (command.startswith("verify") and standing):
        return Judgement("undecided", f"{late[0].kind.name} came after the last look")
    if command in ROTATIONS:
        open_rows = [d for d in active if d.kind.effect == "rows" and not d.was_committed_before(look)]
        if open_rows:
            return Judgement("undecided", f"an application's transaction was open: {open_rows[0].kind.name}")
    return Judgement("disagreement", false)


def _falsehood(command, output, deeds, before, after, taken) -> str:
    """What is not as exit code 0 claims; empty where all is."""
    if command in ROTATIONS:
        return _some(after.not_labelled_new, "values are not labelled kek-v2") or _counts(output, deeds, before, after)
    if command == "dry run":
        return _counts(output, deeds, before, after)
    if command == "fence add":
        return _some(taken, "ways in for an old value")
    hidden = [deed.script.hidden for deed in deeds if deed.script.hidden]
    return (
        _some(after.not_opened_by_new, "values do not open with kek-v2 alone")
        or (f"an old value lies in {hidden[0]}" if hidden else "")
        or _opened(output, deeds, before, after)
    )


def _some(places, what) -> str:
    return f"{len(places)} {what}: {', '.join(places[:4])}" if places else ""


def _counts(output, deeds, before, after) -> str:
    found = NUMBERS.search(output)
    return _outside(found.group(0), found.group(2), deeds, before, after) if found else ""


def _opened(output, deeds, before, after) -> str:
    found = OPENED.search(output)
    return _outside(found.group(0), found.group(1), deeds, before, after) if found else ""


def _outside(words, number, deeds, before, after) -> str:
    """What one deed does is there or is not; between two of them any number may have been true. The application's writes
    may have put a value where none was. Nobody but its session counts the rows of a temporary child."""
    least = min(before.records, after.records) - after.written
    most = max(before.records, after.records) + after.written
    if len(deeds) > 1 or any(deed.script.stays for deed in deeds) or least <= int(number.replace(",", "")) <= most:
        return ""
    return f"it says {words!r}; there are {least} to {most} records"
