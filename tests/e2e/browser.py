"""Headless Chromium, spoken to by its debugging protocol over two pipes: pages, what they ask the network for and complain of."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
HOW_TO_GET = ("neither chromium-headless-shell nor chromium is on PATH: scripts/setup.sh --parity installs the former on Debian; "
              "apt-get install chromium will do, too")


class Browser:
    """One page at a time. `requests` and `complaints` are of all pages since the start."""

    def __init__(self):
        self.requests, self.complaints = [], []
        self._number, self._held = 0, b""
        self._profile = tempfile.mkdtemp(prefix="moesaic-browser-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
                   f"--user-data-dir={self._profile}", "--window-size=1300,900", "about:blank"]
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'  # the numbers that it reads and writes
        self._process = subprocess.Popen(["bash", "-c", shell, "bash", *command], pass_fds=(to_browser, from_browser),
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        target = self._call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        self._session = None
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def close(self):
        os.close(self._write)  # it ends with its pipe
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _call(self, method, parameters=None, session=True):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters or {}}
        if session and getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self, seconds=60):
        deadline = time.monotonic() + seconds
        while b"\0" not in self._held:
            ready = select.select([self._read], [], [], max(0, deadline - time.monotonic()))[0]
            piece = os.read(self._read, 1 << 20) if ready else b""
            if not piece:
                raise RuntimeError("the browser does not answer")
            self._held += piece
        line, self._held = self._held.split(b"\0", 1)
        message = json.loads(line)
        self._notice(message.get("method"), message.get("params", {}))
        return message

    def _notice(self, method, about):
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("exception", {}).get("description", str(about)))
        if method == "Runtime.consoleAPICalled":
            self.complaints.append(str(about["args"]))
        if method == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
        if method == "Page.loadEventFired":
            self._loaded = True

    def open(self, path):
        """Seconds until a file has been loaded and its script has run."""
        start, self._loaded = time.monotonic(), False
        self._call("Page.navigate", {"url": f"file://{path}"})
        while not self._loaded:
            self._next()
        self.value("document.readyState")
        return time.monotonic() - start

    def value(self, expression):
        """Of JavaScript; what it throws is raised."""
        found = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def look_as(self, scheme, media=""):
        """dark or light, and "print" for paper."""
        self._call("Emulation.setEmulatedMedia", {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def mouse(self, kind, x, y):
        pressed = kind != "mouseMoved"
        self._call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left" if pressed else "none",
                                                "buttons": 1 if kind == "mousePressed" else 0, "clickCount": 1 if pressed else 0})

    def drag(self, start, end):
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start)
        self._call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": end[0], "y": end[1], "button": "left", "buttons": 1})
        self.mouse("mouseReleased", *end)

    def picture(self, path, whole=True):
        data = self._call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self):
        return base64.b64decode(self._call("Page.printToPDF", {"printBackground": True})["data"])
