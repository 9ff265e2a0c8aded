"""Everything that a run consists of: servers, switchboard, processes, application, watch."""

import contextlib
import glob
import os
import threading
import time

from chaos_tables import TABLES, Row, create_tables, fill
from envelope_reference import KeyEncryptionKey, seal_canonical
from fault import NotNow
from impositions import Impositions
from operating import Operator
from pooler import Pooler
from postgres_pair import PostgresPair
from recoveries import Recoveries
from redis_under_fire import RedisUnderFire
from roles import Role, Supervisor
from support.rotation_tool import catalog_yaml
from switchboard import Switchboard
from verification import Verifier
from watch import Watch
from writing_application import Application

WORKERS = 4
QUEUE = "chaos"
WRITERS = 2
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
# Rows of the run's own: the verifier's witness, and those of the deadlocks. No writer touches them.
WITNESS = -1
OWN_ROWS = (-2, -3, -4, -5)


class World:
    def __init__(self, folder, binary, second_binary, findings, seed, rows, rate):
        self.folder, self.findings, self.seed = folder, findings, seed
        self.binary = binary
        self.binaries = [binary, second_binary]
        self.own_rows = list(OWN_ROWS)
        self.is_over = threading.Event()
        self.postgres_changes = threading.RLock()
        self.impositions = Impositions()
        self.recoveries = Recoveries(self)
        self.operator = Operator(self)
        self.queue_name = QUEUE
        self._mutex = threading.Lock()
        self._background = []
        self.ends = []
        self.worker_names = [f"worker-{n + 1}" for n in range(WORKERS)]
        self.coordinator_names = ["coordinator-1", "coordinator-2"]
        self.queue_role_names = self.worker_names + self.coordinator_names
        self.role_names = self.queue_role_names + ["verifier"]
        self.pg = PostgresPair(folder)
        self.redis = RedisUnderFire(folder)
        self.board = self.application = self.watch = self.supervisor = None
        self.pooler = Pooler(folder) if Pooler.is_installed() else None
        self.keys = [KeyEncryptionKey.generate("kek-v1")]
        self.rows, self.rate = rows, rate

    # MARK: life

    def start(self):
        self.pg.start()
        self.redis.start()
        with contextlib.closing(self.pg.connect()) as connection, connection.cursor() as cursor:
            create_tables(cursor, self.pg.has_small_tablespace)
            oracle = fill(cursor, self.keys[0], self.rows, WRITERS)
            for identity in (WITNESS, *OWN_ROWS):
                value = seal_canonical(self.keys[0], self.own_plaintext(identity))
                cursor.execute("INSERT INTO providers VALUES (0, %s, 'own', convert_to(%s, 'UTF8'), NULL)", (identity, value))
            cursor.execute("ANALYZE")
        routes = {f"{name} postgres": "postgres" for name in self.role_names + ["application"]}
        routes |= {f"{name} redis": "redis" for name in self.queue_role_names}
        targets = {"postgres": self.pg.primary.port, "redis": self.redis.server.port}
        self.board = Switchboard(routes, targets)
        self.application = Application(
            self.pg.url(self.board.ports["application postgres"]), oracle, self.seed, WRITERS, self.rate
        )
        (self.folder / "catalog.yaml").write_text(catalog_yaml([table.catalog_entry for table in TABLES]))
        self.supervisor = Supervisor(self.findings, self._process_ended)
        self.watch = Watch(self.redis, QUEUE, [table.name for table in TABLES], self.findings)
        self._make_roles()
        self.verifier = Verifier(self)
        return self

    def close(self):
        self.is_over.set()
        for thread in self._background:
            thread.join(60)
        for part in (self.watch, self.supervisor, self.application, self.board, self.redis, self.pg):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()

    def _make_roles(self):
        self.workers = [
            Role(name, ["worker", "--queue", QUEUE, "--catalog", "catalog.yaml", "--concurrency", "2"], {},
                 self.folder, self.binary)
            for name in self.worker_names
        ]  # fmt: skip
        self.coordinators = [
            Role(name, ["coordinator", "--queue", QUEUE, "--catalog", "catalog.yaml"], {}, self.folder, self.binary)
            for name in self.coordinator_names
        ]
        verifier = Role("verifier", [], {}, self.folder, self.binary)
        self.roles = {role.name: role for role in (*self.workers, *self.coordinators, verifier)}
        self.supervisor.roles = [*self.workers, *self.coordinators]

    def own_plaintext(self, identity) -> bytes:
        return f"own {identity}".encode()

    def own_oracle(self) -> dict:
        return {identity: Row(0, "own", self.own_plaintext(identity), None) for identity in (WITNESS, *OWN_ROWS)}

    # MARK: keys

    def set_keys(self, target, old):
        self.target, self.old = target, old
        for name, role in self.roles.items():
            role.environment = self.environment(
                self.pg.url(self.board.ports[f"{name} postgres"]),
                self.redis.server.url(port=self.board.ports[f"{name} redis"]) if name in self.queue_role_names else None,
            )
        self._fake_the_clock_of(self.workers[-1])

    def environment(self, database_url, redis_url=None) -> dict:
        found = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8",
            "DATABASE_URL": database_url,
            "SECRETS_ENCRYPTION_KEY": self.target.setting, "SECRETS_ENCRYPTION_KEY_PREVIOUS": self.old.setting,
        }  # fmt: skip
        if redis_url is not None:
            found["REDIS_URL"] = redis_url
        return found

    # MARK: clock

    @property
    def has_fake_clock(self) -> bool:
        return bool(glob.glob(FAKETIME))

    def _fake_the_clock_of(self, role):
        if not self.has_fake_clock:
            return
        self.set_worker_clock(0)
        role.environment |= {
            "LD_PRELOAD": glob.glob(FAKETIME)[0], "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else it makes a segment and tells the environment so, which moves it; Swift's runtime finds the
            # arguments by the place where the environment stood.
            "FAKETIME_SHARED": "/none /none",
        }  # fmt: skip

    def set_worker_clock(self, offset):
        if not self.has_fake_clock:
            raise NotNow("no libfaketime")
        temporary = self.folder / "clock.new"
        temporary.write_text(f"{offset:+d}\n")
        os.replace(temporary, self.folder / "clock")

    # MARK: choosing

    def some_worker(self, rng) -> Role:
        free = [role for role in self.workers if role.is_running() and not role.is_busy]
        if len(free) < 2:
            raise NotNow("too few workers are up")
        return rng.choice(free)

    def leader_name(self):
        """By PostgreSQL's locks alone."""
        found = self.pg.rows(
            "SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
            "AND l.mode = 'ExclusiveLock' AND l.granted GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        )
        route = self.board.owner(found[0][0]) if found else None
        return route.split(" ")[0] if route else None

    def leader(self) -> Role:
        name = self.leader_name()
        role = self.roles.get(name) if name else None
        if role is None or not role.is_running() or role.is_busy:
            raise NotNow("nobody leads")
        if sum(one.is_running() and not one.is_busy for one in self.coordinators) < 2:
            raise NotNow("nobody would take over")
        return role

    def waiting_coordinator(self) -> Role:
        leader = self.leader()
        return next(role for role in self.coordinators if role is not leader)

    @contextlib.contextmanager
    def occupying(self, role):
        """No other fault takes it meanwhile."""
        with self._mutex:
            role.occupations += 1
        try:
            yield
        finally:
            with self._mutex:
                role.occupations -= 1

    # MARK: background

    def in_background(self, function, *arguments):
        self._background = [thread for thread in self._background if thread.is_alive()]
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        self._background.append(thread)

    def rebuild_standby(self):
        self.pg.rebuild()
        for problem in self.pg.problems:
            self.findings.violation("harness", problem)
        self.pg.problems = []

    # MARK: processes

    def _process_ended(self, role, code, lived):
        self.ends.append((role.name, code, time.time()))
        if role.was_killed:
            return
        if role.name.startswith("worker") and role.is_wanted and code not in (143, 130):
            self.findings.note(f"worker ended by itself with {code}")
            self.findings.say(f"{role.name}:\n{role.log_tail(4)}")
        elif role.name.startswith("coordinator"):
            self.findings.note(f"coordinator ended with {code}")
            if code not in (0, 2):
                self.findings.say(f"{role.name}:\n{role.log_tail(4)}")

    def roll_over(self):
        """From now on processes start from the other binary."""
        self.binaries.reverse()
        self.binary = self.binaries[0]
        for role in self.roles.values():
            role.binary = self.binary

    @property
    def direct_url(self) -> str:
        return self.pg.primary.url("chaos")

    def state(self) -> str:
        """For a violation's message."""
        lines = [f"progress: {self.watch.progress}"]
        for role in self.roles.values():
            lines.append(f"{role.name} pid {role.pid} running {role.is_running()} frozen {role.is_frozen}")
            lines += ["    " + line for line in role.log_tail(4).splitlines()]
        return "\n".join(lines)
