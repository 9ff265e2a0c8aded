"""What an operator does: stops processes, cancels a job, and begins what must be refused."""

import signal
import subprocess
import time

from fault import NotNow

COMMAND_SECONDS = 60


class Operator:
    def __init__(self, world):
        self.world = world

    def stop(self, role, kind, limit):
        """SIGTERM, and how long it takes; the supervisor starts it again."""
        findings, impositions = self.world.findings, self.world.impositions
        process = role.process
        if process is None:
            raise NotNow("it has just ended")
        since = time.monotonic()
        wall = time.time()
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:
            seconds = time.monotonic() - since
            others = impositions.since(wall) if seconds > limit else []
            if seconds > 60 or (seconds > limit and not others):
                findings.violation(
                    kind, f"{role.name} has not ended {seconds:.0f} s after SIGTERM\n{role.log_tail()}"
                )
                role.kill()
                return
            time.sleep(0.02)
        if not impositions.since(wall):
            findings.recovered(kind, time.monotonic() - since, limit)

    def expect_refusal(self, kind, url, word, command="run"):
        """A command that must not begin, and must say why."""
        world = self.world
        queue = ["--queue", "elsewhere"] if command == "coordinator" else []
        try:
            outcome = self._run(url, command, *queue, "--catalog", "catalog.yaml")
        except subprocess.TimeoutExpired:
            world.findings.violation(kind, f"{command} was not refused within {COMMAND_SECONDS} s")
            return
        if outcome.returncode != 1:
            world.findings.violation(kind, f"{command} ended with {outcome.returncode}: {outcome.stderr[-1500:]}")
        elif word not in outcome.stderr:
            # Another fault came first.
            world.findings.note(f"{kind}: refused for another reason")
            world.findings.say(f"{kind}: refused for another reason: {outcome.stderr[-600:]}")
        else:
            world.findings.note(f"{kind}: refused by name")

    def cancel_job(self):
        """So that the next coordinator begins a job of its own."""
        self._run(self.world.direct_url, "cancel", "--queue", self.world.queue_name)

    def _run(self, database_url, *arguments):
        world = self.world
        return subprocess.run(
            [str(world.binary), *arguments], cwd=world.folder, timeout=COMMAND_SECONDS, text=True, capture_output=True,
            env=world.environment(database_url, world.redis.server.url()), stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
