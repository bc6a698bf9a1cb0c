"""A real browser, without a window, asked through its own protocol: Chromium's `--remote-debugging-pipe`, which is JSON
over two pipes (https://chromedevtools.github.io/devtools-protocol/).

``WHOLENET_BROWSER`` names the program; without it one of ``BROWSERS`` on the PATH is taken.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "WHOLENET_BROWSER"
TIMEOUT_S = 120
"""For one answer: a machine that does other work is slow to start it."""
WITH_PIPES = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The protocol is spoken on the descriptors 3 and 4."""
OPTIONS = (
    *("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--hide-scrollbars"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves the machine, whatever a page asks for
)


def find_browser():
    """The program, or None."""
    if named := os.environ.get(VARIABLE):
        return shutil.which(named) or named
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def _pipe():
    """Both ends, neither of which is 3 or 4."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high


class Browser:
    """A running browser with a profile of its own in ``profile``; to be closed.

    Raises:
        TimeoutError: from any call, where no answer comes.
        EOFError: likewise, where the browser ended; with what it said.
    """

    def __init__(self, program, profile):
        theirs, self._words = _pipe()
        self._answers, their_answers = _pipe()
        self._log = profile.with_name(f"{profile.name}.log")
        with self._log.open("wb") as log:
            words = [sys.executable, "-SE", "-c", WITH_PIPES, str(theirs), str(their_answers), program, *OPTIONS]
            self._process = subprocess.Popen(
                [*words, f"--user-data-dir={profile}", "about:blank"],
                pass_fds=(theirs, their_answers),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(theirs)
        os.close(their_answers)
        self._buffer, self._asked = b"", 0
        self.events = []

    def close(self):
        """End it, whatever it does."""
        try:
            self.ask("Browser.close")
            self._process.wait(10)
        except (OSError, EOFError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._words)
        os.close(self._answers)

    def ask(self, method, session=None, **parameters):
        """The result of a command. Events that come before it are kept in ``events``."""
        self._asked += 1
        told = {"id": self._asked, "method": method, "params": parameters}
        told |= {"sessionId": session} if session else {}
        os.write(self._words, json.dumps(told).encode() + b"\0")
        while (found := self._next()).get("id") != self._asked:
            self.events.append(found)
        if "error" in found:
            raise ValueError(f"{method}: {found['error']}")
        return found["result"]

    def wait(self, method, session, **parameters):
        """Until such an event has come."""
        while not any(
            all(told.get(name) == value for name, value in parameters.items()) for told in self.told(method, session)
        ):
            self.events.append(self._next())

    def told(self, method, session):
        """The parameters of the events of a kind so far."""
        events = (event for event in self.events if event.get("sessionId") == session)
        return [event["params"] for event in events if event["method"] == method]

    def _next(self):
        ends = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            if not select.select([self._answers], [], [], max(0, ends - time.monotonic()))[0]:
                raise TimeoutError(f"the browser did not answer in {TIMEOUT_S} s")
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise EOFError(f"the browser ended: {self._log.read_text(errors='replace')[-2000:]}")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


class Tab:
    """A file as the browser shows it.

    Args:
        browser: it.
        path: of the file.
        width: of the window, in CSS pixels; below 600 it is a phone's, which takes the page's word for its width.
        scheme: "light" or "dark": what the user prefers.
    """

    def __init__(self, browser, path, width=1280, scheme="light"):
        self.browser = browser
        self.address = path.absolute().as_uri()
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        self._target = target
        self.session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask("Page.setLifecycleEventsEnabled", enabled=True)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", features=wanted)
        loader = self._ask("Page.navigate", url=self.address)["loaderId"]
        browser.wait("Page.lifecycleEvent", self.session, loaderId=loader, name="load")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.ask("Target.closeTarget", targetId=self._target)

    def _ask(self, method, **parameters):
        return self.browser.ask(method, self.session, **parameters)

    def run(self, script):
        """The value of an expression in the page, as JSON has it; of a promise, what it comes to."""
        found = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def told(self, method):
        """The parameters of the events of a kind so far."""
        self.run("0")  # what was on its way is here then
        return self.browser.told(method, self.session)

    def complaints(self):
        """What the console says: errors and warnings, what scripts wrote, exceptions."""
        logged = [entry["entry"]["text"] for entry in self.told("Log.entryAdded")]
        written = [str(call["args"]) for call in self.told("Runtime.consoleAPICalled")]
        return logged + written + [str(thrown) for thrown in self.told("Runtime.exceptionThrown")]

    def requests(self):
        """Addresses that were asked for."""
        return [request["request"]["url"] for request in self.told("Network.requestWillBeSent")]

    def screenshot(self, path):
        """Write all of the page as a PNG."""
        found = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))
        return path
