"""When the rows of a table were committed, by the server's own record (`track_commit_timestamp`)."""

import dataclasses

from bench_server import SUBJECT


@dataclasses.dataclass(frozen=True)
class CommitTimes:
    """First and last commit of new versions, in seconds since 1970, and how many rows there were in all and in the first."""

    first: float
    last: float
    rows: int
    rows_of_first: int

    def rate(self, sessions) -> float:
        """Rows a second while rows were written: in the time since the first commit, less what each of the sessions had
        in hand by then, taken as whole batches. That is too little rather than too much."""
        rows = self.rows - sessions * self.rows_of_first
        return max(0, rows) / (self.last - self.first) if self.last > self.first else 0.0


def commit_times(server, table, since) -> CommitTimes:
    """Of the versions committed after `since`."""
    found = server.rows(
        f"""
        SELECT extract(epoch FROM pg_xact_commit_timestamp(writer)), count FROM
            (SELECT xmin AS writer, count(*) FROM {table} GROUP BY xmin) versions
        WHERE pg_xact_commit_timestamp(writer) > to_timestamp(%s)
        ORDER BY 1
        """,
        (since,),
        SUBJECT,
    )
    if not found:
        return CommitTimes(since, since, 0, 0)
    return CommitTimes(float(found[0][0]), float(found[-1][0]), sum(count for _, count in found), found[0][1])
