"""A real headless Chromium, as a person would look at the dashboard."""

import json
import os
import pathlib

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from support.rotation_tool import REPOSITORY
from support.waiting import wait_until

AXE = REPOSITORY / ".build/tools/axe.min.js"
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")
# Where pictures are wanted: docs/ has those of the six states.
SCREENSHOTS = os.environ.get("REENCRYPT_TEST_SCREENSHOTS")


class Browser:
    def __init__(self, width=1100, height=1300):
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in (*ARGUMENTS, f"--window-size={width},{height}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(20)

    def close(self):
        self.driver.quit()

    def open(self, url):
        self.driver.get(url)
        return self

    def text(self, selector="body") -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector):
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def type(self, selector, text):
        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    def wait_for(self, text, selector="body", timeout=15.0):
        def is_shown():
            try:
                return text in self.text(selector)
            except (NoSuchElementException, StaleElementReferenceException):
                return False  # between one page and the next there is no body

        wait_until(is_shown, f"the page shows {text!r}", timeout, interval=0.1)

    def appear(self, scheme="light", width=None, height=900):
        """Dark or light; of a phone's width where one is given."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        if width:
            self.driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True},
            )
        else:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def screenshot(self, name):
        if SCREENSHOTS:
            self.driver.save_screenshot(str(pathlib.Path(SCREENSHOTS) / f"{name}.png"))

    def console(self) -> list:
        """Errors and warnings, refusals of the content security policy among them."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> set:
        """Every address that was asked for since the last call."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return {
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        }

    def serious_violations(self) -> list:
        """What axe-core finds that is serious or worse."""
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        return [
            f"{violation['id']}: {node['html'][:120]} {node.get('failureSummary', '')}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
