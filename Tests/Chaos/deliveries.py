"""Without faults no batch is delivered twice: every claim of a job of 10,000 batches is read on its way."""

import collections
import io
import subprocess

import psycopg2

from envelope_reference import KeyEncryptionKey, seal_canonical
from private_postgres import PrivatePostgres
from private_redis import PrivateRedis
from support.resp_proxy import RespProxy
from support.rotation_tool import catalog_yaml

WORKERS = 3
ROWS_A_BATCH = 10
DEADLINE_SECONDS = 240


class Deliveries:
    def __init__(self, folder, binary, batches):
        self.folder, self.binary = folder, binary
        self.rows = batches * ROWS_A_BATCH
        self.old, self.target = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v2")

    def run(self) -> list:
        """What is wrong."""
        with PrivatePostgres(self.folder / "postgres", {"fsync": "off"}) as postgres:
            with PrivateRedis(self.folder / "redis") as redis:
                return self._run(postgres, redis)

    def _run(self, postgres, redis):
        self._fill(postgres)
        (self.folder / "catalog.yaml").write_text(
            catalog_yaml([{"name": "secrets", "encrypted_columns": ["secret"]}])
        )
        proxies = [RespProxy(redis.port, keeps=lambda name: name in ("claim", "acknowledge")) for _ in range(WORKERS)]
        workers = [
            self._start(postgres, redis.url(port=proxy.port), "worker", "--exit-when-done", "--concurrency", "2")
            for proxy in proxies
        ]
        coordinator = self._start(postgres, redis.url(), "coordinator", "-b", ROWS_A_BATCH)
        try:
            code = coordinator.wait(DEADLINE_SECONDS)
            codes = [worker.wait(30) for worker in workers]
        finally:
            for process in (coordinator, *workers):
                if process.poll() is None:
                    process.kill()
                    process.wait(10)
        problems = [] if (code, codes) == (0, [0] * WORKERS) else [f"exit codes {code}, {codes}"]
        return problems + self._judge(proxies)

    def _judge(self, proxies) -> list:
        deliveries, answers = collections.Counter(), collections.Counter()
        for proxy in proxies:
            for request in proxy.kept("claim"):
                generation, leased = request.answer[4], request.answer[7:]
                deliveries.update((generation, sequence) for sequence in leased[::4])
            answers.update(request.answer for request in proxy.kept("acknowledge"))
            proxy.close()
        self.batches = len(deliveries)
        self.twice = sum(count > 1 for count in deliveries.values())
        problems = []
        if self.twice:
            problems.append(f"{self.twice} of {self.batches} batches were delivered more than once")
        if self.batches < self.rows // ROWS_A_BATCH:
            problems.append(f"only {self.batches} batches were seen")
        if set(answers) != {b"counted"} or sum(answers.values()) != self.batches:
            problems.append(f"acknowledgements were answered with {dict(answers)}")
        return problems

    def _fill(self, postgres):
        lines = "".join(f"{n}\t{seal_canonical(self.old, b'secret %d' % n)}\n" for n in range(self.rows))
        connection = psycopg2.connect(postgres.url())
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE secrets (id bigint PRIMARY KEY, secret text)")
            cursor.copy_expert("COPY secrets FROM STDIN", io.StringIO(lines))
        connection.close()

    def _start(self, postgres, redis_url, *arguments):
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.folder), "DATABASE_URL": postgres.url(), "REDIS_URL": redis_url,
            "SECRETS_ENCRYPTION_KEY": self.target.setting, "SECRETS_ENCRYPTION_KEY_PREVIOUS": self.old.setting,
        }  # fmt: skip
        with open(self.folder / f"{arguments[0]}.log", "ab") as log:
            return subprocess.Popen(
                [str(self.binary), *map(str, arguments), "--catalog", "catalog.yaml"], cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
