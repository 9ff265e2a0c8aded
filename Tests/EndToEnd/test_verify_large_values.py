"""One block may refer to gigabytes of values stored elsewhere: they are opened a few at a time."""

import json

from envelope_reference import seal
from test_verify import verify

ROWS = 24
BYTES = 2_000_000
MOST_MIB = 100


def test_memory_is_bounded_by_a_value_not_by_a_block(database, tool, kek_v2):
    good = seal(kek_v2, bytes(BYTES)).text
    bad = good.replace('"ciphertext":"', '"ciphertext":"AAAA', 1)
    database.execute(
        "CREATE TABLE vault (id bigint PRIMARY KEY, raw bytea, small text, doc jsonb);"
        "ALTER TABLE vault ALTER raw SET STORAGE EXTERNAL, ALTER doc SET STORAGE EXTERNAL"
    )
    small = seal(kek_v2, b"small").text
    database.execute(
        "INSERT INTO vault SELECT n, convert_to(%s, 'UTF8'), %s, CASE WHEN n %% 2 = 0 THEN %s::jsonb END "
        f"FROM generate_series(1, {ROWS}) n",
        (good, small, good),
    )
    database.execute("INSERT INTO vault VALUES (1000, convert_to(%s, 'UTF8'), NULL, NULL)", (bad,))
    assert database.value("SELECT pg_relation_size('vault') / 8192") <= 2, "all rows are in one range"
    tool.write_catalog({"name": "vault", "encrypted_columns": ["raw", "small", "doc"]})
    report = tool.directory / "report.json"
    outcome = verify(tool, "--report", report).expect(2)
    print(f"{outcome.peak_memory_kib / 1024:.0f} MiB, {outcome.seconds:.1f} s")
    assert "vault.raw (id=1000)" in outcome.stdout + outcome.stderr
    census = {group["column"]: group["records"] for group in json.loads(report.read_text())["census"]}
    assert census == {"raw": ROWS + 1, "small": ROWS, "doc": ROWS // 2}
    nulls = {group["column"]: group["rows"] for group in json.loads(report.read_text())["nulls"]}
    assert nulls == {"small": 1, "doc": 1 + ROWS // 2}
    assert 0 < outcome.peak_memory_kib / 1024 < MOST_MIB
