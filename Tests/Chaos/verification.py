"""The verifier, again and again, while everything goes on; and once more when all is quiet.

Beside each verification a witness stands: a row whose value is under the old key and whose lock is held by us, so
that no worker can change it. While it is there, the verdict must not be 'proven'.
"""

import contextlib
import json
import subprocess
import time

import psycopg2

from envelope_reference import key_id, seal_canonical
from roles import CRASH_SIGNALS

LONGEST_SECONDS = 90


class Verifier:
    def __init__(self, world):
        self.world = world
        self.role = world.roles["verifier"]
        self.number = 0
        self.verdicts = {}

    def run(self, stop):
        while not stop.is_set():
            try:
                with self._witness() as is_still_old:
                    code = self._verify(stop)
                    if code == 0 and is_still_old():
                        self.world.findings.violation("verifier", f"proven while a value is old\n{self.role.log_tail()}")
            except psycopg2.Error as error:
                self.world.findings.say(f"no witness: {error!r}")
            stop.wait(0.5)

    @contextlib.contextmanager
    def _witness(self):
        world = self.world
        connection = world.pg.connect(application_name="chaos witness")
        connection.autocommit = False
        try:
            with connection.cursor() as cursor:
                while True:
                    value = seal_canonical(world.old, world.own_plaintext(-1))
                    cursor.execute("UPDATE providers SET secret = convert_to(%s, 'UTF8') WHERE id = -1", (value,))
                    connection.commit()
                    cursor.execute("SELECT convert_from(secret, 'UTF8') FROM providers WHERE id = -1 FOR UPDATE")
                    if key_id(cursor.fetchone()[0]) == world.old.key_id:
                        break
                    connection.rollback()

                def is_still_old():
                    try:
                        cursor.execute("SELECT convert_from(secret, 'UTF8') FROM providers WHERE id = -1")
                        return key_id(cursor.fetchone()[0]) == world.old.key_id
                    except psycopg2.Error:
                        return False

                yield is_still_old
        finally:
            with contextlib.suppress(psycopg2.Error):
                connection.close()

    def _arguments(self) -> list:
        self.number += 1
        self.report_path = self.world.folder / f"verification-{self.number}.json"
        return ["verify", "--catalog", "catalog.yaml", "--depth", "values", "--wait-open-transactions", "2s",
                "--report", str(self.report_path)]  # fmt: skip

    def _verify(self, stop):
        """The exit code."""
        role = self.role
        role.command = self._arguments()
        role.start()
        process = role.process
        frozen = 0.0
        began = last = time.monotonic()
        while process.poll() is None:
            now = time.monotonic()
            if role.is_frozen:
                frozen += now - last
            last = now
            if now - began - frozen > LONGEST_SECONDS:
                self.world.findings.violation("verifier", f"it hangs for {now - began:.0f} s\n{role.log_tail()}")
                role.kill()
            time.sleep(0.05)
        code = process.returncode
        self.report_path.unlink(missing_ok=True)
        if -code in CRASH_SIGNALS:
            self.world.findings.violation("crash", f"verify ended by signal {-code}\n{role.log_tail()}")
        self.world.findings.say(f"verify ended with {code} after {time.monotonic() - began:.1f} s, {frozen:.0f} s of it frozen")
        self.verdicts[code] = self.verdicts.get(code, 0) + 1
        return code

    def when_quiet(self) -> dict | None:
        """The report of a verification that nothing disturbs; it must come."""
        arguments = self._arguments()
        try:
            outcome = subprocess.run(
                [str(self.role.binary), *arguments], cwd=self.world.folder, timeout=LONGEST_SECONDS, text=True,
                env=self.world.environment(self.world.direct_url), capture_output=True, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            self.world.findings.violation("verifier", f"no verdict within {LONGEST_SECONDS} s, and all is quiet")
            return None
        if not self.report_path.exists():
            self.world.findings.violation("verifier", f"no report, exit code {outcome.returncode}\n{outcome.stderr[-2000:]}")
            return None
        report = json.loads(self.report_path.read_text())
        self.report_path.unlink()
        if report["verdict"]["exit_code"] != outcome.returncode:
            self.world.findings.violation("verifier", f"exit code {outcome.returncode}, report {report['verdict']}")
        return report
