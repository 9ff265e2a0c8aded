"""What Prometheus scrapes: valid by its own checker, true to the keys, absent where nothing is known."""

import json
import re
import subprocess
import time

from queue_fixtures import *  # noqa: F403
from rotation_tool import REPOSITORY
from test_dashboard import Dashboard, dashboard, held  # noqa: F401

PROMTOOL = REPOSITORY / ".build/tools/promtool"
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def checked(text) -> dict:
    """(name, labels) → value, once promtool has nothing to say against the text."""
    result = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stdout + result.stderr
    found = {}
    for line in text.splitlines():
        match = SERIES.match(line)
        if match:
            found[match[1], match[2] or ""] = float(match[3])
    return found


def test_without_a_job_nothing_is_claimed(dashboard):  # noqa: F811
    assert checked(dashboard.get("metrics")[1]) == {("reencrypt_redis_up", ""): 1}


def test_in_mid_job(dashboard, queue, held):  # noqa: F811
    found = checked(dashboard.get("metrics")[1])
    progress = queue.progress("llm_providers")
    for outcome in ("rewrapped", "superseded", "failed"):
        labels = f'table="llm_providers",outcome="{outcome}"'
        assert found["reencrypt_records_total", labels] == progress[f"records_{outcome}"]
    assert found["reencrypt_remaining_records", 'table="llm_providers"'] == 2_000
    assert found["reencrypt_job_state", 'state="draining"'] == 1
    assert found["reencrypt_job_state", 'state="complete"'] == 0
    assert found["reencrypt_workers", ""] == 1
    assert found["reencrypt_paused", ""] == 0


def test_redis_away(dashboard, redis_server, held):  # noqa: F811
    dashboard.get("metrics")
    redis_server.stop(immediate=True)
    # What was known a second ago may be told once more, not longer.
    time.sleep(1.2)
    assert checked(dashboard.get("metrics")[1]) == {("reencrypt_redis_up", ""): 0}
    redis_server.start()


# MARK: what is built on them

RULES = REPOSITORY / "deploy/prometheus"
GRAFANA = REPOSITORY / "deploy/grafana/reencrypt-secrets.json"


def test_alert_rules():
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "rules.test.yaml"]):
        result = subprocess.run([PROMTOOL, *command], cwd=RULES, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr


def test_each_alert_is_tested():
    alerts = set(re.findall(r"alert: (\w+)", (RULES / "rules.yaml").read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", (RULES / "rules.test.yaml").read_text()))


def test_rules_and_grafana_and_the_page_agree_on_names(dashboard, queue, held):  # noqa: F811
    documented = set(re.findall(r"`(reencrypt_\w+)`", (REPOSITORY / "docs/metrics.md").read_text()))
    served = set(re.findall(r"^# TYPE (\w+)", dashboard.get("metrics")[1], re.M))
    assert served and served <= documented, f"not documented: {served - documented}"
    for path in (RULES / "rules.yaml", GRAFANA):
        used = set(re.findall(r"\breencrypt_\w+", path.read_text()))
        assert used and used <= documented, f"{path.name} uses {used - documented}"
    json.loads(GRAFANA.read_text())
