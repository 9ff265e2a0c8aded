"""A process that plays many workers against a Redis: each claims, works for a while, reports, sends heartbeats.

Every worker has a connection of its own, as a real one has, and one epoll loop drives them all. What a worker sends is
what `RedisWorkerQueue` sends. Some meet a fault, drawn at random:

- *vanish*: the worker is gone with its range; another one, under a new id, takes its place
- *freeze*: it reports after its lease has run out; its heartbeats rest meanwhile
- *lost answer*: its connection is cut right after the report was sent; it dials again and repeats the report
"""

import collections
import dataclasses
import heapq
import random
import select
import socket
import time
import urllib.parse

from queue_scripts import JOB
from resp_client import encoded

PIECE = b"$%d\r\n%s\r\n"
SHORTEST_PAUSE, LONGEST_PAUSE = 0.020, 1.0


@dataclasses.dataclass
class Faults:
    """Probabilities a batch."""

    vanish: float = 0.0005
    freeze: float = 0.0002
    lost_answer: float = 0.0005
    failed_record: float = 0.001
    remainder: float = 0.001

    @staticmethod
    def none():
        return Faults(0, 0, 0, 0, 0)


class Worker:
    """One simulated worker and its connection."""

    __slots__ = (
        "id", "socket", "fd", "buffer", "waiting", "sequence", "deliveries", "report", "records", "sent_before", "pause", "sent_at", "frozen", "version",
    )  # fmt: skip

    def __init__(self, worker_id):
        self.id = worker_id
        self.buffer = b""
        self.waiting = collections.deque()
        self.sequence = self.report = None
        self.sent_before = self.frozen = False
        self.pause = SHORTEST_PAUSE
        self.version = 0


class SimulatedWorkers:
    """Runs until the job has ended; `outcome` says what it saw."""

    def __init__(self, scripts, url, options, index):
        self.scripts, self.url, self.options, self.index = scripts, urllib.parse.urlsplit(url), options, index
        self.faults = options["faults"]
        self.rng = random.Random(options["seed"] * 100 + index)
        self.poll = select.epoll()
        self.by_fd = {}
        self.timers = []
        self.made = 0
        self.ended = False
        self.counts = collections.Counter()
        self.latency = {"claim": [], "acknowledge": []}
        self.claim_call = scripts.head("claim", 3) + b"".join(
            PIECE % (len(a), a) for a in (b"1", b"%d" % options["lease_ms"], JOB.encode())
        )
        self.report_heads = {failed: scripts.head("acknowledge", 12 + 2 * failed) for failed in (0, 1)}
        self.actions = {"claim": self._claim, "report": self._send_report, "beat": self._beat, "thaw": self._thaw}

    def run(self) -> dict:
        began = time.monotonic()
        for number in range(self.options["workers"]):
            worker = self._new_worker()
            self._at(began + number / self.options["workers"] * min(1, self.options["heartbeat_s"]), "claim", worker)
        while not (self.ended and not any(worker.sequence for worker in self.by_fd.values())):
            self._turn()
        for worker in list(self.by_fd.values()):
            self._close(worker)
        return {"counts": dict(self.counts), "latency": self.latency}

    def _turn(self):
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, action, worker, version = heapq.heappop(self.timers)
            if worker.version == version:
                self.actions[action](worker)
        wait = max(0.0, min(0.1, self.timers[0][0] - time.monotonic())) if self.timers else 0.1
        for fd, _ in self.poll.poll(wait):
            worker = self.by_fd.get(fd)
            if worker is not None:
                self._read(worker)

    # MARK: connections

    def _new_worker(self):
        self.made += 1
        worker = Worker(f"sim-{self.index}-{self.made}")
        self._dial(worker)
        self._at(time.monotonic() + self.rng.uniform(0, self.options["heartbeat_s"]), "beat", worker)
        return worker

    def _dial(self, worker):
        worker.socket = socket.create_connection((self.url.hostname, self.url.port), 30)
        worker.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        worker.socket.sendall(encoded(("AUTH", self.url.password)))
        worker.buffer, worker.waiting = b"", collections.deque([("auth", 0)])
        worker.fd = worker.socket.fileno()
        self.by_fd[worker.fd] = worker
        self.poll.register(worker.fd, select.EPOLLIN)

    def _close(self, worker):
        self.poll.unregister(worker.fd)
        del self.by_fd[worker.fd]
        worker.socket.close()
        worker.socket = None

    def _at(self, instant, action, worker):
        heapq.heappush(self.timers, (instant, self.rng.random(), action, worker, worker.version))

    def _send(self, worker, kind, data):
        worker.waiting.append((kind, time.monotonic()))
        worker.socket.sendall(data)

    def _read(self, worker):
        data = worker.socket.recv(65536)
        if not data:
            raise ConnectionError("Redis closed a connection")
        worker.buffer += data
        if not worker.buffer.endswith(b"\r\n"):
            return
        # No value of these replies holds a line's end, so that lines are enough.
        lines = worker.buffer.split(b"\r\n")
        at, last = 0, len(lines) - 1
        while at < last:
            head = lines[at]
            length = 1 + 2 * int(head[1:]) if head[:1] == b"*" else 2 if head[:1] == b"$" else 1
            if at + length > last:
                break
            kind, sent = worker.waiting.popleft()
            connection = worker.socket
            if head[:1] == b"-":
                raise RuntimeError(f"{kind} was answered {head!r}")
            self._answered(worker, kind, sent, lines[at + 1 : at + length])
            if worker.socket is not connection:
                return  # a fault has cut it: what came on it besides is lost
            at += length
        worker.buffer = b"\r\n".join(lines[at:])

    # MARK: what a worker does

    def _claim(self, worker):
        if not self.ended:
            self._send(worker, "claim", self.claim_call)

    def _send_report(self, worker):
        cut = not worker.sent_before and self.rng.random() < self.faults.lost_answer
        if self.options["together"] and not cut and not self.ended:
            now = time.monotonic()
            worker.waiting.extend((("acknowledge", now), ("claim", now)))
            worker.socket.sendall(worker.report + self.claim_call)
            return
        self._send(worker, "acknowledge", worker.report)
        if cut:
            self.counts["lost answers"] += 1
            worker.sent_before = True
            self._close(worker)
            self._dial(worker)
            self._at(time.monotonic() + 0.02, "report", worker)

    def _beat(self, worker):
        if self.ended:
            return
        if not worker.frozen:
            hand = (worker.sequence, worker.deliveries) if worker.sequence else ()
            lease = self.options["lease_ms"]
            state = (worker.id, lease, "host", 4711, "0.1.0", 2, 12345, 1000, 1795564000809)
            self._send(worker, "heartbeat", encoded(self.scripts.call("heartbeat", *state, *hand)))
        self._at(time.monotonic() + self.options["heartbeat_s"], "beat", worker)

    def _thaw(self, worker):
        worker.frozen = False
        self._send_report(worker)

    def _answered(self, worker, kind, sent, lines):
        now = time.monotonic()
        if kind == "claim":
            self.latency["claim"].append(now - sent)
            self._claimed(worker, lines[1::2], now)
        elif kind == "acknowledge":
            self.latency["acknowledge"].append(now - sent)
            self._acknowledged(worker, lines[0])
        elif kind == "heartbeat":
            self.counts["heartbeats"] += 1
            self.counts["leases found lost"] += len(lines) // 2 - 5

    def _claimed(self, worker, reply, now):
        if reply[0] not in (b"enumerating", b"draining", b"verifying"):
            self.ended = True
            return
        if len(reply) < 11:
            self.counts["empty claims"] += 1
            self._at(now + worker.pause * self.rng.uniform(0.5, 1), "claim", worker)
            worker.pause = min(2 * worker.pause, LONGEST_PAUSE)
            return
        worker.pause = SHORTEST_PAUSE
        self.counts["claims"] += 1
        generation, sequence, deliveries, message = reply[4], reply[7], reply[8], reply[10]
        worker.sequence, worker.deliveries = sequence, deliveries
        self._prepare_report(worker, generation, sequence, message)
        fault = self.rng.random()
        if fault < self.faults.vanish:
            self.counts["vanished"] += 1
            worker.version += 1  # none of its timers rings any more
            self._close(worker)
            self._claim(self._new_worker())
        elif fault < self.faults.vanish + self.faults.freeze:
            self.counts["frozen"] += 1
            worker.frozen = True
            self._at(now + self.options["lease_ms"] / 1000 * self.rng.uniform(0.9, 1.5), "thaw", worker)
        elif self.options["work_ms"] > 0:
            self._at(now + self.rng.expovariate(1000 / self.options["work_ms"]), "report", worker)
        else:
            self._send_report(worker)

    def _prepare_report(self, worker, generation, sequence, message):
        records = _records(message)
        failed = 1 if records > 1 and self.rng.random() < self.faults.failed_record else 0
        rest, rest_body = 0, b""
        if records > failed + 1 and self.rng.random() < self.faults.remainder:
            rest = 1
            rest_body = message[message.index(b'"first"') :].replace(b'"n":%d' % records, b'"n":1')
        done = records - failed - rest
        worker.records, worker.sent_before = (done, failed), False
        arguments = (
            generation, sequence, message, b"%d" % done, b"%d" % failed, rest_body, b"%d" % rest, b"100",
            b"%d" % records, b"%d" % (331 * records), b"5000", b"16384",
        )  # fmt: skip
        if failed:
            arguments += (b'["llm_providers","%s","api_key_encrypted"]' % sequence, b'{"at":1,"reason":"simulated"}')
        worker.report = self.report_heads[failed] + b"".join([PIECE % (len(one), one) for one in arguments])

    def _acknowledged(self, worker, answer):
        if answer == b"counted":
            certainty = "counted"
        elif answer == b"duplicate" and worker.sent_before:
            certainty = "perhaps counted"  # by the report whose answer was lost, or another delivery's
        else:
            certainty = "not counted"
            self.counts["late reports, " + answer.decode()] += 1
        self.counts[certainty] += 1
        self.counts["rewrapped, " + certainty] += worker.records[0]
        self.counts["failed, " + certainty] += worker.records[1]
        worker.sequence = worker.report = None
        if not worker.waiting or worker.waiting[0][0] != "claim":
            self._claim(worker)


def _records(message) -> int:
    start = message.index(b'"n":') + 4
    return int(message[start : message.index(b",", start)])
