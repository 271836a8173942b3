"""A studio that is served, and a page of it in a browser."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 90  # on a machine that is busy


class Server:
    """`python -m studio` on a free port, or again on the same one."""

    def __init__(self, artifacts: Path, root: Path) -> None:
        self._artifacts, self._root = artifacts, root
        self.port = 0
        self.start()

    def start(self) -> None:
        words = (sys.executable, "-m", "studio", "--artifacts", str(self._artifacts))
        self._process = subprocess.Popen(
            (*words, "--port", str(self.port)),
            cwd=self._root,
            env={**os.environ, "PYTHONPATH": str(self._root), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError("the studio ended before it served")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


class Page:
    """A browser's page: what tests do in it, and what they wait for."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url

    def open(self, address: str = "", *, width: int = 1280) -> None:
        shape = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
        self.browser.get("about:blank")
        self.browser.get(address or self.url)
        self.until(
            lambda: self.js("return document.querySelectorAll('main section:not([hidden])').length")
        )

    def js(self, code: str, *given: Any) -> Any:
        return self.browser.execute_script(code, *given)

    def until(self, holds: Callable[[], Any], says: str = "") -> Any:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if found := holds():
                return found
            time.sleep(0.1)
        raise AssertionError(f"{says or 'it never came'}; the page says {self.line!r}")

    def find(self, css: str) -> Any:
        return self.browser.find_element("css selector", css)

    @property
    def line(self) -> str:
        return self.js("return document.getElementById('line').textContent")

    def part(self, name: str) -> None:
        self.find(f"[data-part={name}]").click()

    def source(self, name: str) -> str:
        return self.js("return document.getElementById(arguments[0]).src", name)

    def text(self, name: str) -> str:
        return self.js("return document.getElementById(arguments[0]).textContent", name)

    def changes(self, name: str, act: Callable[[], Any]) -> str:
        """Do something and wait until a picture is another one."""
        before = self.source(name)
        act()
        return self.until(
            lambda: self.source(name) if self.source(name) not in ("", before) else "",
            f"{name} stayed as it was",
        )

    def value(self, name: str, value: str, event: str = "change") -> None:
        self.js(
            "const it = document.getElementById(arguments[0]); it.value = arguments[1];"
            "it.dispatchEvent(new Event(arguments[2]))",
            name,
            value,
            event,
        )

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def drag(self, css: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag over an element, in fractions of its sides from the top left corner."""
        from selenium.webdriver.common.action_chains import ActionChains

        element = self.find(css)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        width, height = element.rect["width"], element.rect["height"]
        points = [(round((x - 0.5) * width), round((y - 0.5) * height)) for x, y in (start, end)]
        chain = ActionChains(self.browser).move_to_element_with_offset(element, *points[0])
        chain.click_and_hold().move_to_element_with_offset(element, *points[1]).release().perform()

    def errors(self) -> list[str]:
        """Return what the console says, but for answers that were meant to be refusals."""
        said = [entry["message"] for entry in self.browser.get_log("browser")]
        return [m for m in said if " 422 " not in m and "ERR_CONNECTION" not in m]
