"""Chromium without a window, told what to do over a pipe in its DevTools protocol; Debian's package.

with Browser() as browser:
    browser.open("http://127.0.0.1:8080/")
    browser.wait("document.title === 'x'")
"""

import base64
import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from typing import Any

from equipment import machine

DEADLINE_S = 60
POLL_S = 0.05


class Browser:
    """One page in a browser of its own; ended with the context."""

    def __init__(self) -> None:
        machine.ensure_apt("chromium", "fonts-dejavu-core")
        self._home = tempfile.TemporaryDirectory(prefix="crirm-browser-", ignore_cleanup_errors=True)
        to_it, self._out = os.pipe()
        self._in, from_it = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        flags += ["--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync"]
        flags += [f"--user-data-dir={self._home.name}", "--remote-debugging-pipe", "about:blank"]
        # It reads on descriptor 3 and writes on 4, whatever numbers we have.
        shell = f'exec 5<&{to_it} 6>&{from_it}; exec "$0" "$@" 3<&5 4>&6 5<&- 6>&-'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_it, from_it),
            start_new_session=True,
        )
        os.close(to_it)
        os.close(from_it)
        self._rest, self._number, self._session = b"", 0, ""
        self.said: list[str] = []
        """What the page has complained about: exceptions, and breaches of its security policy."""
        try:
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self._call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def open(self, address: str) -> None:
        """Go there."""
        self._call("Page.navigate", url=address)

    def look(self, expression: str) -> Any:
        """What the expression is in the page."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until the expression holds."""
        until_s = time.monotonic() + DEADLINE_S
        while not self.look(expression):
            if time.monotonic() > until_s:
                raise TimeoutError(f"{expression}\n{self.said}\n{self.look('document.body.innerText')}")
            time.sleep(POLL_S)

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def dress(self, *, width: int, height: int, dark: bool = False) -> None:
        """The size of the window in pixels, and the colours that its user likes."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """The window, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End it, with all that it has started."""
        os.close(self._out)
        os.close(self._in)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        self._home.cleanup()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until_s = time.monotonic() + DEADLINE_S
        while True:
            heard = self._heard(until_s, method)
            if heard.get("id") == self._number:
                if "error" in heard:
                    raise RuntimeError(f"{method}: {heard['error']}")
                return heard["result"]
            if heard.get("method") == "Runtime.exceptionThrown":
                self.said.append(json.dumps(heard["params"]["exceptionDetails"]))
            if heard.get("method") == "Log.entryAdded":
                self.said.append(heard["params"]["entry"]["text"])

    def _heard(self, until_s: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0, until_s - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{method}: the browser says nothing")
            more = os.read(self._in, 1 << 16)
            if not more:
                raise RuntimeError(f"{method}: the browser has ended")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)
