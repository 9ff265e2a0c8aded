"""The dashboard in a real browser, in each state that a job can be in; who may look, and who may give orders."""

import re
import signal
import urllib.error
import urllib.request

import pytest

from support.browser import Browser
from support.waiting import wait_until

IN_ONE_PROCESS = True
TOKEN = "a-token-of-the-tests-0123456789"
LOCKED = 1_500


class Dashboard:
    def __init__(self, queue_tool, *arguments, **changes):
        self._process = queue_tool.start("dashboard", "--listen", "127.0.0.1:0", *arguments, catalog=False, **changes)
        out = self._process._stdout  # pylint: disable=protected-access
        wait_until(lambda: "http://" in out.read_text() or not self._process.is_running(), "the dashboard listens")
        assert self._process.is_running(), self._process.wait(1)
        self.url = re.search(r"http://\S+", out.read_text()).group()

    @property
    def pid(self):
        return self._process.pid

    def get(self, path, method="GET", **headers) -> tuple:
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    def stop(self):
        self._process.send(signal.SIGTERM)
        return self._process.wait(10)


@pytest.fixture
def dashboard(queue_tool):
    return Dashboard(queue_tool)


@pytest.fixture(scope="module")
def one_browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(one_browser):
    one_browser.console()
    one_browser.requested()
    one_browser.appear()
    yield one_browser
    one_browser.open("about:blank")


@pytest.fixture
def held(database, queue, queue_tool, table):
    """A coordinator whose job cannot end while an application holds a row; all the others are done."""
    application = database.connect("application")
    application.cursor().execute(f"SELECT FROM llm_providers WHERE id = {LOCKED} FOR UPDATE")
    coordinator = queue_tool.coordinator("--batch-size", 20)
    worker = queue_tool.worker()
    queue.wait_until_done(1_999)
    yield coordinator, application
    application.rollback()
    worker.kill()


# MARK: the six states


def check(browser, dashboard, name):
    """What holds in every state: nothing from elsewhere, no complaint of the browser, usable by everybody."""
    browser.screenshot(name)
    for scheme in ("light", "dark"):
        browser.appear(scheme)
        assert browser.serious_violations() == [], f"{name}, {scheme}"
    browser.appear("light", width=375)
    wide = browser.driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 375, f"{name} needs {wide} px on a phone"
    if name == "mid-job":
        browser.screenshot("phone")
    browser.appear()
    foreign = {url for url in browser.requested() if not url.startswith((dashboard.url, "data:"))}
    assert not foreign, f"requests to elsewhere: {foreign}"


def test_the_page_says_that_there_is_no_job(browser, dashboard):
    browser.open(dashboard.url).wait_for("No job on this queue")
    browser.wait_for("Live", "#connection")
    check(browser, dashboard, "start")
    assert browser.console() == []


def test_in_mid_job_and_paused(browser, dashboard, queue_tool, held):
    browser.open(dashboard.url).wait_for("draining", "#state")
    browser.wait_for("1,999 records done of 2,000", "#progress")
    assert "99.9" in browser.text("#percent") or "100" in browser.text("#percent")
    assert "llm_providers" in browser.text("#tables")
    assert "kek-v1: 2,000" in browser.text("#census-legend")
    assert len(browser.find("#workers tbody tr")) == 1
    browser.wait_for("batch done", "#events")
    check(browser, dashboard, "mid-job")
    queue_tool.command("pause").expect(0)
    browser.wait_for("Paused", "#banner")
    check(browser, dashboard, "paused")
    assert browser.find("#controls") == [], "orders are offered that nobody allowed"
    assert browser.console() == []


def test_the_page_shows_a_job_with_failures(browser, dashboard, queue, queue_tool, table, database):
    database.execute("UPDATE llm_providers SET api_key_encrypted = 'no envelope' WHERE id IN (7, 8, 1234)")
    worker = queue_tool.worker("--exit-when-done")
    queue_tool.coordinator().wait().expect(2)
    worker.wait().expect(2)
    browser.open(dashboard.url).wait_for("Incomplete: 3 records failed", "#banner")
    wait_until(lambda: len(browser.find("#failures tbody tr")) == 3, "three failed records are listed")
    assert "not JSON" in browser.text("#failures")
    check(browser, dashboard, "failed")
    browser.type("#search", "1234")
    wait_until(lambda: len(browser.find("#failures tbody tr")) == 1, "the search finds one")
    assert "incomplete" in browser.text("#history")
    assert browser.console() == []


def test_redis_away_and_back(browser, dashboard, redis_server, held):
    browser.open(dashboard.url).wait_for("draining", "#state")
    redis_server.stop()
    browser.wait_for("Redis has been away since", "#banner")
    assert "1,999" in browser.text("#progress"), "what was known is gone"
    check(browser, dashboard, "redis-away")
    redis_server.start()
    browser.wait_for("Live", "#connection", timeout=30)


def test_the_page_shows_a_finished_job(browser, dashboard, queue_tool, table):
    worker = queue_tool.worker("--exit-when-done")
    queue_tool.coordinator().wait().expect(0)
    worker.wait().expect(0)
    browser.open(dashboard.url).wait_for("Complete: a census found no record", "#banner")
    assert browser.text("#percent") == "100.0 %"
    assert "kek-v2: 2,000" in browser.text("#census-legend")
    check(browser, dashboard, "finished")
    assert browser.console() == []


# MARK: orders


def test_orders_ask_for_the_token_and_for_confirmation(browser, queue, queue_tool, held):
    dashboard = Dashboard(queue_tool, "--allow-control", REENCRYPT_DASHBOARD_TOKEN=TOKEN)
    browser.open(dashboard.url).wait_for("draining", "#state")
    browser.click("[data-order=pause]")
    browser.wait_for("Pause the job?", "#confirm")
    assert browser.serious_violations() == []
    browser.type("#token", "a-wrong-token-of-any-length")
    browser.click("#confirm-yes")
    browser.wait_for("not the dashboard", "#confirm-error")
    assert queue.progress()["paused"] == 0
    browser.find("#token")[0].clear()
    browser.type("#token", TOKEN)
    browser.click("#confirm-yes")
    wait_until(lambda: queue.progress()["paused"] == 1, "the job is paused")
    wait_until(lambda: browser.find("[data-order=resume]")[0].is_displayed(), "resume is offered")
    for order, wanted in (("resume", ("paused", 0)), ("cancel", ("state", "cancelled"))):
        assert dashboard.get(f"control/{order}", "POST", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert queue.progress()[wanted[0]] == wanted[1]


def test_orders_are_no_route_unless_allowed(dashboard, queue_tool, held, queue):
    assert dashboard.get("control/pause", "POST", Authorization=f"Bearer {TOKEN}")[0] == 404
    page = dashboard.get("")[1]
    assert "data-order" not in page and "control/" not in page
    assert queue.progress()["paused"] == 0


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong-token-of-any-length"}, {"Cookie": f"reencrypt_dashboard={TOKEN}"}])
def test_orders_without_the_token_in_its_header(queue_tool, queue, held, headers):
    dashboard = Dashboard(queue_tool, "--allow-control", REENCRYPT_DASHBOARD_TOKEN=TOKEN)
    assert dashboard.get("control/pause", "POST", **headers)[0] == 401
    assert queue.progress()["paused"] == 0


# MARK: who may look


def test_another_address_demands_the_token(queue_tool, browser, table):
    refused = queue_tool.start("dashboard", "--listen", "0.0.0.0:0", catalog=False).wait(10)
    refused.expect_refusal("REENCRYPT_DASHBOARD_TOKEN")
    queue_tool.start("dashboard", "--allow-control", catalog=False).wait(10).expect_refusal("token")
    short = queue_tool.start("dashboard", "--listen", "0.0.0.0:0", catalog=False, REENCRYPT_DASHBOARD_TOKEN="short")
    short.wait(10).expect_refusal("at least 16")
    dashboard = Dashboard(queue_tool, "--listen", "0.0.0.0:0", REENCRYPT_DASHBOARD_TOKEN=TOKEN)
    dashboard.url = dashboard.url.replace("0.0.0.0", "127.0.0.1")
    for path in ("", "events", "failures", "metrics"):
        assert dashboard.get(path)[0] == 401, path
    assert "reencrypt_redis_up 1" in dashboard.get("metrics", Authorization=f"Bearer {TOKEN}")[1]
    browser.open(dashboard.url).wait_for("asks for its token")
    assert browser.serious_violations() == []
    browser.type("[name=token]", "a-wrong-token-of-any-length")
    browser.click("button")
    browser.wait_for("not the dashboard")
    browser.type("[name=token]", TOKEN)
    browser.click("button")
    browser.wait_for("No job on this queue")
    cookie = browser.driver.get_cookie("reencrypt_dashboard")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"


def test_a_name_from_elsewhere_is_refused_on_loopback(dashboard):
    """A page on the web may let its own name point here; its script must not read what we show."""
    assert dashboard.get("", Host="rebound.example")[0] == 421
    assert dashboard.get("metrics", Host="rebound.example:80")[0] == 421


def test_headers_and_end(dashboard):
    _, page, headers = dashboard.get("")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    stopped = dashboard.stop()
    stopped.expect(143)
    assert "ERROR" not in stopped.stderr
