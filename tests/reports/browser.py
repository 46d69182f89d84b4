"""A real Chromium without a window, driven over the WebDriver protocol by chromedriver."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import requests

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
_KEYS = {"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
_ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]


class Browser:
    """One window. ``log``: what the console showed; ``requests``: the URLs that the page asked for."""

    def __init__(self, profile: Path) -> None:
        self._driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        port = self._port()
        self._http = requests.Session()
        self._http.trust_env = False
        self._base = f"http://127.0.0.1:{port}/session"
        options = {"args": [*_ARGUMENTS, f"--user-data-dir={profile}"], "binary": CHROMIUM}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, **_KEYS}
        answer = self._send("POST", self._base, {"capabilities": {"alwaysMatch": wanted}})
        self._base += "/" + answer["sessionId"]
        self._send("POST", self._base + "/timeouts", {"script": 20_000})
        self._send("POST", self._base + "/url", {"url": "about:blank"})  # away from Chromium's own first page

    def _port(self) -> int:
        for line in self._driver.stdout:
            if "started successfully on port" in line:
                return int(line.rsplit(" ", 1)[1].strip().rstrip("."))
        raise AssertionError("chromedriver did not start")

    def _send(self, method: str, url: str, values: dict | None = None):
        reply = self._http.request(method, url, json=values, timeout=50)
        value = json.loads(reply.content)["value"]
        assert reply.ok, value
        return value

    def close(self) -> None:
        self._send("DELETE", self._base)
        self._http.close()
        self._driver.terminate()
        self._driver.wait()
        self._driver.stdout.close()

    def open(self, page: Path) -> None:
        self.log(), self.requests()  # of the page before
        self._send("POST", self._base + "/url", {"url": page.as_uri()})

    def run(self, script: str, *arguments):
        """The value of a function's body in the page."""
        return self._send("POST", self._base + "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments) -> None:
        """Until an expression of the page is true, looked at once a frame."""
        body = (
            f"const done = arguments[arguments.length - 1], given = arguments;"
            f"const look = () => ({script}) ? done(true) : requestAnimationFrame(look); look();"
        )
        self._send("POST", self._base + "/execute/async", {"script": body, "args": list(arguments)})

    def devtools(self, command: str, **parameters):
        return self._send("POST", self._base + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.devtools("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def appear(self, width: int, scheme: str, height: int = 900) -> None:
        """Show the page at this width, light or dark."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, whole: bool = False) -> bytes:
        return base64.b64decode(self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])

    def log(self) -> list[str]:
        return [entry["message"] for entry in self._send("POST", self._base + "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        entries = self._send("POST", self._base + "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("chrome:", "about:"))]
