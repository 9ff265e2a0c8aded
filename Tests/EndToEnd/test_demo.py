"""`scripts/demo --dashboard`: the page that it names is alive while the rotation runs."""

import json
import re
import subprocess
import threading
import urllib.request

import pytest

from support.rotation_tool import REPOSITORY
from support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.watchdog(300)]

RUNNING = {"enumerating", "draining", "verifying"}


class Viewer(threading.Thread):
    """A page's event stream, read to its end."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self._url = url
        self.progress = []

    def run(self):
        kind = None
        try:
            with urllib.request.urlopen(self._url + "events", timeout=60) as stream:
                for line in stream:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data" and kind == "picture":
                        self.progress.append(json.loads(value)["progress"])
        except OSError:
            # The demo has ended, and the dashboard with it.
            pass

    def done(self) -> list:
        """Records done, each number once, in order, while the job ran."""
        seen = [int(one["records_done"]) for one in self.progress if one.get("state") in RUNNING]
        return [number for number, before in zip(seen, [None, *seen]) if number != before]


def test_the_page_is_alive_during_the_rotation(tmp_path):
    output = tmp_path / "output"
    with open(output, "wb") as out:
        demo = subprocess.Popen(
            [REPOSITORY / "scripts/demo", "--rows", "40000", "--dashboard"],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        address = re.compile(r"http://127\.0\.0\.1:\d+/(?=\n)")
        wait_until(lambda: address.search(output.read_text()) or demo.poll() is not None, "an address", timeout=200)
        said = output.read_text()
        assert demo.poll() is None, said
        url = address.search(said).group()
        viewer = Viewer(url)
        viewer.start()
        with urllib.request.urlopen(url, timeout=10) as page:
            assert "<title>" in page.read().decode()
        assert demo.wait(200) == 0, output.read_text()
    finally:
        if demo.poll() is None:
            # Its trap ends what it has started.
            demo.terminate()
            demo.wait(30)
    said = output.read_text()
    assert said.index(url) < said.index("== reencrypt-secrets coordinator"), "the address comes before the rotation"
    viewer.join(30)
    assert not viewer.is_alive(), "the dashboard outlives the demo"
    assert len(viewer.done()) >= 2, f"nothing moves on the page: {viewer.progress}"
    assert viewer.progress[-1]["state"] == "complete"
