"""When the rows of a table were committed, by the server's own record (`track_commit_timestamp`)."""

import dataclasses

from bench_server import SUBJECT


@dataclasses.dataclass(frozen=True)
class CommitTimes:
    """First and last commit of new versions, in seconds since 1970, and how many rows each side of the first has."""

    first: float
    last: float
    rows: int
    rows_of_first: int

    @property
    def rate(self) -> float:
        """Rows a second while rows were written: those after the first commit, in the time since then."""
        return (self.rows - self.rows_of_first) / (self.last - self.first) if self.last > self.first else 0.0


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
