"""The key types a table can have, each with the values most likely to break a range, a comparison or a cast."""

import dataclasses
import random
import uuid

import pytest

# Equal is what differs in case only; the server knows such keys since version 12.
CASELESS_COLLATION = "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"


@dataclasses.dataclass(frozen=True)
class KeyShape:
    label: str
    # (column name, SQL type)
    columns: tuple
    # Makes at least `count` distinct keys, the edges first: tuples of text, cast to the columns' types.
    make: object
    setup: str = ""

    def require(self, database):
        """Skips the test where the server was built without ICU and the key needs one of its collations."""
        if "icu" in repr((self.columns, self.setup)):
            require_icu(database)

    def keys(self, count) -> list:
        rng = random.Random(self.label)
        keys = list(dict.fromkeys(self.make(rng, count)))[:count]
        assert len(keys) == count, f"too few keys of {self.label}"
        rng.shuffle(keys)
        return keys


def require_icu(database):
    if not database.value("SELECT count(*) FROM pg_collation WHERE collprovider = 'i'"):
        pytest.skip("this PostgreSQL was built without ICU")


def _single(label, sql_type, make, setup=""):
    return KeyShape(label, (("id", sql_type),), lambda rng, count: [(key,) for key in make(rng, count)], setup)


def _uuids(rng, count):
    edges = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    return edges + [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(count)]


def _integers(bits):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return lambda rng, count: [str(n) for n in (low, low + 1, -1, 0, 1, high - 1, high)] + [
        str(rng.randint(low, high)) for _ in range(count)
    ]


# Lower and upper case, accents, digits, punctuation and white space: orders of C and of a language differ in all.
_TEXTS = [
    "", " ", "a", "A", "b", "B", "aa", "aA", "Aa", "a-b", "ab", "a b", "a'b", 'a"b', "a\\b", "a,b", "{a}", "(a,b)",
    "é", "e", "f", "E", "É", "e\u0301", "z", "Z", "ä", "ß", "ss", "10", "9", "1", "０", "😀", "日本", "null", "NULL",
    "%", "_", "\t", "\n", "$1", "--", "x" * 300,
]  # fmt: skip


def _texts(rng, count):
    alphabet = "abcABCéÉ -_.'9"
    return _TEXTS + ["".join(rng.choices(alphabet, k=rng.randint(1, 12))) for _ in range(2 * count)]


def _caseless_texts(rng, count):
    """Distinct even where case makes no difference."""
    return list({text.casefold(): text for text in _texts(rng, 5 * count) if text.isascii()}.values())


def _timestamps(rng, count):
    edges = [
        "infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "1970-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00",
        "2000-01-01 00:00:00+00", "2024-03-31 01:59:59.999999+00", "2024-03-31 02:00:00.000001+00",
        "294276-12-31 23:59:59.999999+00",
    ]  # fmt: skip
    return edges + [f"2024-05-{rng.randint(1, 31):02} 10:20:{rng.randint(0, 59):02}.{rng.randint(0, 999999):06}+00"
                    for _ in range(count)]  # fmt: skip


def _numerics(rng, count):
    edges = [
        "NaN", "Infinity", "-Infinity", "0", "0.10", "-0.1", "1.000000000000000000000000000001", "1e100", "-1e100",
        "1e-100", "10000", "9999.9999", "123456789012345678901234567890.123456789",
    ]  # fmt: skip
    return edges + [f"{rng.randint(-10**12, 10**12)}.{rng.randint(1, 10**9)}7" for _ in range(count)]


def _composite(rng, count):
    return [(str(n % 7 - 3), str(n * 1_000_003 - 50_000_000)) for n in range(count)]


def _composite_of_three(rng, count):
    regions = ["eu", "EU", "é", "us"]
    return [
        (regions[n % 4], f"2024-05-01 00:00:00.{n // 8:06}+00", str(uuid.UUID(int=rng.getrandbits(128))))
        for n in range(count)
    ]


KEY_SHAPES = [
    _single("uuid", "uuid", _uuids),
    _single("bigint", "bigint", _integers(64)),
    _single("int", "integer", _integers(32)),
    _single("text", "text", _texts),
    _single("text-C", 'text COLLATE "C"', _texts),
    _single("text-icu", 'text COLLATE "en-US-x-icu"', _texts),
    _single("varchar-icu", 'varchar(400) COLLATE "de-x-icu"', _texts),
    _single("text-caseless", "text COLLATE caseless", _caseless_texts, setup=CASELESS_COLLATION),
    _single("timestamptz", "timestamptz", _timestamps),
    _single("numeric", "numeric", _numerics),
    KeyShape("composite", (("tenant_id", "integer"), ("id", "bigint")), _composite),
    KeyShape(
        "composite-mixed",
        (("region", 'text COLLATE "en-US-x-icu"'), ("created_at", "timestamptz"), ("id", "uuid")),
        _composite_of_three,
    ),
]
