"""Redis is not trusted: what somebody puts onto the queue by hand is refused, reported, and touches nothing."""

import contextlib
import hashlib
import json
import signal

import pytest

from support.secrets_table import SecretsTable
from support.waiting import wait_until

ROWS_EACH = 600

@pytest.fixture
def victim(database, kek_v1):
    """Secrets under the old key in a table that is in no catalog: it must stay byte for byte."""
    return SecretsTable(database, name="not_in_the_catalog").create().fill(kek_v1, range(ROWS_EACH))


@pytest.fixture
def own_tables(database, queue_tool, kek_v1):
    """Two tables of the catalog."""
    tables = [
        SecretsTable(database).create().fill(kek_v1, range(ROWS_EACH)),
        SecretsTable(database, name="webhooks", column="secret", column_type="text").create(),
    ]
    tables[1].fill(kek_v1, range(ROWS_EACH))
    queue_tool.tool.write_catalog(*tables, ignore=["public.not_in_the_catalog.api_key_encrypted"])
    return tables


def oid(database, table) -> int:
    return database.value("SELECT %s::regclass::oid::bigint", (table.sql_name,))


@contextlib.contextmanager
def paused_job(queue, queue_tool, own_tables):
    """A job with a worker, paused with nothing in hand; it is resumed afterwards and completes, while the victim
    stays as it is. Gives the messages that are pending."""
    coordinator = queue_tool.coordinator("--batch-size", 20)
    queue.wait_for_state("draining")
    queue_tool.command("pause").expect(0)
    worker = queue_tool.worker()
    yield queue.redis.command("LRANGE", queue.key("pending"), 0, -1), worker
    queue_tool.command("resume").expect(0)
    coordinator.wait().expect(0)
    worker.send(signal.SIGTERM)
    worker.wait(15).expect(143)
    assert_only_the_victim_is_old(queue_tool)


def assert_only_the_victim_is_old(queue_tool):
    """Where there is a table outside the catalog, its old values are all that the verdict objects to."""
    outcome = queue_tool.verify().expect(0, 2)
    if outcome.exit_code == 2:
        against = outcome.stdout.split("What speaks against it:")[1].split("\n\n")[0].strip().splitlines()
        assert len(against) == 1 and "public.not_in_the_catalog" in against[0], str(outcome)


def refused_by(queue) -> int:
    return int(queue.redis.command("HGET", queue.key("state"), "messages_refused") or 0)


def changed(message, **members) -> bytes:
    """Written as Redis writes it, else its head alone would give it away."""
    return json.dumps({**json.loads(message), **members}, separators=(",", ":")).encode()


def forgeries(database, messages, victim, own_tables) -> list:
    good = messages[0]
    fresh = 10_000_000
    outside, other = oid(database, victim), oid(database, own_tables[1])
    return [
        changed(good, table="not_in_the_catalog", leaf=outside, sequence=fresh),
        changed(good, table="not_in_the_catalog", leaf=outside),
        changed(good, table='x"; DROP TABLE llm_providers; --', sequence=fresh),
        changed(good, table="llm_providers WHERE true; DELETE FROM llm_providers"),
        changed(good, leaf=outside),
        changed(good, leaf=other),
        changed(good, target="kek-evil", target_key="kek-evil"),
        changed(good, first=["0'; DROP TABLE llm_providers; --"]),
        changed(good, last=["99999999"]),
        changed(good, generation="deadbeefdeadbeef"),
        changed(good, generation=""),
        changed(good, sequence=fresh),
        changed(good, sequence=-1),
        changed(good, sequence=0),
        changed(good, sequence=0.4),
        changed(good, sequence=1e300),
        changed(good, sequence="1"),
        changed(good, sequence=None),
        changed(good, sequence=[1]),
        changed(good, n=10**15),
        b"",
        b"not JSON",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b"12",
        b'"generation"',
        b"[" * 5_000,
        b"{" + b" " * (10 << 20) + b"}",
        good + b" ",
    ]


@pytest.mark.parametrize("push", ["LPUSH", "RPUSH"])
def test_forged_messages_are_refused(database, queue, queue_tool, own_tables, victim, kek_v2, push):
    """At the far end and at the near end of the list, together with real messages that stand there twice."""
    before = (victim.stored(), victim.versions())
    with paused_job(queue, queue_tool, own_tables) as (messages, _):
        bad = forgeries(database, messages, victim, own_tables)
        for message in bad:
            queue.redis.command(push, queue.key("pending"), message)
    assert refused_by(queue) == len(bad)
    assert "messages_refused" in queue.events()
    assert (victim.stored(), victim.versions()) == before
    for table in own_tables:
        table.assert_opens_with(kek_v2)
    progress = queue.progress()
    assert progress["records_rewrapped"] == progress["records_total"] == 2 * ROWS_EACH
    assert progress["records_failed"] == 0


def test_a_doubled_message_counts_once(queue, queue_tool, own_tables, kek_v2):
    with paused_job(queue, queue_tool, own_tables) as (messages, _):
        for message in messages:
            queue.redis.command("RPUSH", queue.key("pending"), message)
    progress = queue.progress()
    assert progress["records_rewrapped"] == 2 * ROWS_EACH
    assert progress["records_superseded"] == 0


def test_a_reused_sequence_number(queue, queue_tool, own_tables, kek_v2):
    """Looks valid, but its number has been counted already: by a copy of a message that is done."""
    coordinator = queue_tool.coordinator("--batch-size", 20)
    queue.wait_for_state("draining")
    messages = queue.redis.command("LRANGE", queue.key("pending"), 0, -1)
    queue_tool.worker()
    queue.wait_until_done(400)
    for message in messages:
        queue.redis.command("RPUSH", queue.key("pending"), message)
        queue.redis.command("RPUSH", queue.key("pending"), changed(message, n=7))
    coordinator.wait().expect(0)
    progress = queue.progress()
    assert progress["records_rewrapped"] + progress["records_superseded"] == 2 * ROWS_EACH
    assert progress["records_failed"] == 0


def test_a_worker_says_what_it_refused(database, queue, queue_tool, own_tables, victim):
    """Also where the job is over before the next line of its log is due."""
    with paused_job(queue, queue_tool, own_tables) as (messages, worker):
        for message in forgeries(database, messages, victim, own_tables):
            queue.redis.command("RPUSH", queue.key("pending"), message)
    assert "refused" in worker.wait().stderr.lower()


def book(queue, sequence, message, records, table):
    """Enters a message of one's own where Redis keeps the batches: all that the scripts check is right."""
    digest = hashlib.sha1(message).hexdigest()
    queue.redis.transaction([
        ("HSET", queue.key("batches"), sequence, f"p|0|0|{records}|{digest}|{table}"),
        ("HINCRBY", queue.key("progress"), "batches_pending", 1),
        ("HINCRBY", queue.key("progress"), "batches_total", 1),
        ("RPUSH", queue.key("pending"), message),
    ])  # fmt: skip


def run_with_booked(queue, queue_tool, make, timeout=60):
    """A job in which somebody who may write all of Redis has entered what `make(good message)` gives."""
    coordinator = queue_tool.coordinator("--batch-size", 20)
    queue.wait_for_state("draining")
    good = queue.redis.command("LRANGE", queue.key("pending"), 0, 0)[0]
    for number, (message, table) in enumerate(make(good)):
        sequence = 5_000_000 + number
        book(queue, sequence, changed(message, sequence=sequence), 3, table)
    worker = queue_tool.worker()
    wait_until(lambda: not (worker.is_running() and coordinator.is_running()), "the job or the worker ends", timeout)
    assert worker.is_running(), f"the worker did not keep going\n{worker.wait()}"
    return coordinator.wait(timeout)


def test_a_forger_who_writes_everything_reaches_no_other_table(
    database, queue, queue_tool, own_tables, victim, kek_v2
):
    before = (victim.stored(), victim.versions())
    outside, other = oid(database, victim), oid(database, own_tables[1])
    own, second = (table.catalog_name for table in own_tables)

    def make(good):
        return [
            (changed(good, table="not_in_the_catalog", leaf=outside), own),
            (changed(good, leaf=outside), own),
            (changed(good, leaf=other), own),
            (changed(good, table=second), second),
            (changed(good, leaf=1259), own),  # pg_class
            (changed(good, first=["1", "2"]), own),
            (changed(good, first=[]), own),
            (changed(good, first=["500"], last=["-5"]), own),
            (changed(good, first=["-9"], last=["9223372036854775807"], n=1), own),
        ]

    outcome = run_with_booked(queue, queue_tool, make)
    assert outcome.exit_code in (0, 2), outcome
    assert (victim.stored(), victim.versions()) == before
    for table in own_tables:
        table.assert_opens_with(kek_v2)
    assert_only_the_victim_is_old(queue_tool)


NO_PLACES = "no places in a table"
NO_RANGE = "no range"


@pytest.mark.watchdog(60)
@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        ({"by": "blocks"}, NO_PLACES),  # with ids for ends
        ({"by": "blocks", "first": ["(0,0)'; --"]}, NO_PLACES),
        ({"by": "blocks", "first": ["(0,0)"], "last": ["(4294967296,0)"]}, NO_PLACES),
        ({"by": "blocks", "first": ["(0,0)", "(1,0)"], "last": ["(2,0)"]}, NO_PLACES),
        ({"by": "blocks", "first": [], "last": []}, NO_PLACES),
        ({"by": "galaxies"}, NO_RANGE),
        ({"by": 7}, NO_RANGE),
        ({"by": "blocks", "first": ["(9,0)"], "last": ["(0,0)"]}, None),
        ({"by": "blocks", "first": ["(0,0)"], "last": ["(4294967295,65535)"]}, None),
        ({"by": "blocks", "first": ["(4294967295,1)"], "last": ["(4294967295,1)"]}, None),
    ],
)
def test_forged_places_are_given_up_or_harmless(queue, queue_tool, own_tables, victim, kek_v2, forged, reason):
    """What is no place never reaches the server; any place of a table of the catalog may be worked on."""
    before = (victim.stored(), victim.versions())
    outcome = run_with_booked(
        queue, queue_tool, lambda good: [(changed(good, **forged), own_tables[0].catalog_name)], timeout=30
    )
    assert outcome.exit_code == 0, outcome
    assert (victim.stored(), victim.versions()) == before
    for table in own_tables:
        table.assert_opens_with(kek_v2)
    reasons = [entry["reason"] for entry in queue.failures().values()]
    assert [reason in said for said in reasons] == ([True] if reason else []), reasons


@pytest.mark.watchdog(60)
def test_ids_that_are_none_do_not_stop_the_job(queue, queue_tool, own_tables, kek_v2):
    """The server refuses the value; the batch must not go round for ever."""
    outcome = run_with_booked(
        queue, queue_tool, lambda good: [(changed(good, first=["1'; --"]), own_tables[0].catalog_name)], timeout=15
    )
    assert outcome.exit_code in (0, 2), outcome
    for table in own_tables:
        table.assert_opens_with(kek_v2)


@pytest.mark.watchdog(60)
def test_a_booked_message_that_is_no_range_does_not_end_the_worker(queue, queue_tool, own_tables, kek_v2):
    """As a worker of another version would see it; each worker that it ends would pass it on to the next."""

    def make(good):
        generation = json.loads(good)["generation"]
        return [(changed(b"{}", generation=generation), own_tables[0].catalog_name)]

    outcome = run_with_booked(queue, queue_tool, make, timeout=15)
    assert outcome.exit_code in (0, 2), outcome
    for table in own_tables:
        table.assert_opens_with(kek_v2)


EDITS = {
    "target": lambda record: record | {"target_key": "kek-v1"},
    "lock_key": lambda record: record | {"lock_key": record["lock_key"] ^ 1},
    "mode": lambda record: record | {"mode": "reencrypt"},
    "database": lambda record: record | {"database": "postgres"},
    "keys": lambda record: record | {"keys": record["keys"][:1]},
    "more": lambda record: record | {"unknown": 1},
}


@pytest.mark.parametrize("what", [*EDITS, "code", "job", "no JSON", "nothing"])
def test_a_forged_job_record_is_refused(queue, queue_tool, table, kek_v1, kek_v2, what):
    """By a worker that comes, and by a coordinator; who is at work already goes on to the end."""
    coordinator = queue_tool.coordinator("--batch-size", 20)
    queue.wait_for_state("draining")
    state = queue.key("state")
    record = queue.redis.command("HGET", state, "record")
    if what in EDITS:
        queue.redis.command("HSET", state, "record", json.dumps(EDITS[what](json.loads(record)), sort_keys=True))
    elif what == "code":
        queue.redis.command("HSET", state, "record_code", "00" * 32)
    elif what == "job":
        queue.redis.command("HSET", state, "job", "0123456789abcdef")
        wait_until(
            lambda: queue.redis.command("HGET", state, "job") != "0123456789abcdef",
            "the coordinator notices that one, and puts it right",
        )
    else:
        queue.redis.command("HSET", state, "record", "" if what == "nothing" else "{")
    versions = table.versions()
    if what != "job":
        queue_tool.worker().wait(15).expect_refusal("refused")
        queue_tool.coordinator().wait(15).expect_refusal("refused")
        assert table.versions() == versions
        queue.redis.command("HSET", state, "record", record)
        if what == "code":
            return
    job = json.loads(record)["job"].encode()
    wait_until(lambda: queue.redis.command("HGET", state, "job") == job, "the coordinator puts the job right")
    worker = queue_tool.worker()
    coordinator.wait(30).expect(0)
    worker.kill()
    table.assert_opens_with(kek_v2)
