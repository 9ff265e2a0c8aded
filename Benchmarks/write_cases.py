"""The cases of `scripts/bench write`: a base case, and one factor changed at a time."""

import dataclasses

from pgcrypto_tables import CBC, PGP
from sealed_tables import PLAINTEXT_16K, Shape

BASE = Shape()
SHAPES = [
    BASE,
    Shape("fewer_rows", share_of_rows=0.2),
    Shape("jsonb", type="jsonb"),
    Shape("random_keys", random_keys=True),
    Shape("fillfactor_50", fillfactor=50),
    Shape("three_indexes", further_indexes=True),
    Shape("large_external", plaintext_bytes=PLAINTEXT_16K, storage="external", share_of_rows=0.05),
    Shape("large_extended", plaintext_bytes=PLAINTEXT_16K, storage="extended", share_of_rows=0.05),
]

RUN, QUEUE, ROW_BY_ROW, BATCHED, PGCRYPTO, FLOOR = "run", "queue", "row by row", "batched", "pgcrypto", "floor"

# As fast as it goes; VACUUM is work that the floor does not do.
_UNHELD = (("--vacuum", "off"), ("--profile", "maintenance"))


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    title: str
    group: str
    shape: Shape = BASE
    how: str = RUN
    arguments: tuple = ()
    lanes: int = 2
    processes: int = 1
    tls: bool = False
    # The floor it is set against has so many connections.
    floor_connections: int = 2
    # Where not the whole table is worked through.
    most_rows: int | None = None
    pgcrypto: str = ""
    # Options of the tool without which there is nothing to measure.
    needs: tuple = ()
    # Given where the tool has them.
    settings: tuple = _UNHELD

    @property
    def template(self) -> str:
        return f"shape_{self.pgcrypto or self.shape.name}"

    @property
    def floor_template(self) -> str:
        return f"shape_{self.shape.name}"

    def options(self, known: str) -> tuple:
        """What `run`, or `coordinator`, is given beside the lanes; `known` is its help."""
        return self.arguments + tuple(word for setting in self.settings if setting[0] in known for word in setting)

    def rows(self, asked: int) -> int:
        return min(self.shape.rows(asked), self.most_rows or asked)


GROUPS = ["base", "table", "value", "lanes", "batch", "mode and line", "room for the application", "instead of the tool"]
_SHAPE = {shape.name: shape for shape in SHAPES}


def cases() -> list:
    return [
        Case("base", "base case", "base"),
        Case("jsonb", "jsonb instead of bytea", "table", _SHAPE["jsonb"]),
        Case("random-keys", "random uuid keys (v4), in key order", "table", _SHAPE["random_keys"],
             settings=(*_UNHELD, ("--order", "key"))),
        Case("random-physical", "random uuid keys (v4), in physical order", "table", _SHAPE["random_keys"],
             arguments=("--order", "physical"), needs=("--order",)),
        Case("fillfactor-50", "fillfactor 50", "table", _SHAPE["fillfactor_50"]),
        Case("three-indexes", "three indexes", "table", _SHAPE["three_indexes"]),
        Case("16k-external", "16 KiB, storage external", "value", _SHAPE["large_external"]),
        Case("16k-extended", "16 KiB, storage extended", "value", _SHAPE["large_extended"]),
        Case("lanes-1", "1 lane", "lanes", lanes=1, floor_connections=1),
        Case("lanes-4", "4 lanes", "lanes", lanes=4),
        Case("workers-1x2", "1 worker of 2 lanes", "lanes", how=QUEUE),
        Case("workers-2x1", "2 workers of 1 lane", "lanes", how=QUEUE, lanes=1, processes=2),
        Case("workers-2x2", "2 workers of 2 lanes", "lanes", how=QUEUE, lanes=2, processes=2),
        Case("workers-4x1", "4 workers of 1 lane", "lanes", how=QUEUE, lanes=1, processes=4),
        *(
            Case(f"batch-{size}", f"{size:,} rows a batch", "batch", arguments=("--batch-size", size))
            for size in (100, 500, 1_000, 2_000, 5_000)
        ),
        Case("reencrypt", "re-encrypt instead of rewrap", "mode and line", arguments=("--mode", "reencrypt")),
        Case("tls", "TLS", "mode and line", tls=True),
        *(
            Case(f"profile-{name}", f"--profile {name}, VACUUM every 10 %", "room for the application", shape,
                 arguments=("--profile", name), needs=("--profile",), settings=())
            # A polite run pauses, and takes its time.
            for name, shape in (("polite", _SHAPE["fewer_rows"]), ("balanced", BASE), ("maintenance", BASE))
        ),
        Case("row-by-row", "a SELECT and an UPDATE a row, autocommit (Python)", "instead of the tool",
             how=ROW_BY_ROW, lanes=1, floor_connections=1, most_rows=3_000),
        Case("batched-python", "the best batched script, 2 processes (Python)", "instead of the tool",
             how=BATCHED, lanes=1, processes=2),
        Case("pgcrypto-cbc", "pgcrypto in the server, raw AES-CBC, 2 connections", "instead of the tool",
             how=PGCRYPTO, pgcrypto=CBC),
        Case("pgcrypto-pgp", "pgcrypto in the server, pgp_sym_*, 2 connections", "instead of the tool",
             how=PGCRYPTO, pgcrypto=PGP, most_rows=2_000),
    ]  # fmt: skip
