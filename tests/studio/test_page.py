"""The studio in a browser: every part clicked, dragged and typed through, on a tiny run.

Debian's packages chromium and chromium-driver are needed, and skipped without.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.studio.browser import SECONDS, Page, Server
from tests.studio.conftest import linked

pytestmark = pytest.mark.slow

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no browser: install Debian's packages chromium and chromium-driver",
)
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
)


UNNAMED = """
const named = (e) => e.textContent.trim() || e.ariaLabel || e.title || e.querySelector('img[alt]')
  || (e.labels && e.labels.length);
return [...document.querySelectorAll(`#${arguments[0]} :is(button, input, select)`)]
  .filter((e) => e.offsetParent && !named(e)).map((e) => e.outerHTML);
"""


@pytest.fixture(scope="module")
def artifacts(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts that all tests of this file share."""
    return linked(run, tmp_path_factory.mktemp("page") / "artifacts")


@pytest.fixture(scope="module")
def server(artifacts: Path, root: Path) -> Iterator[Server]:
    started = Server(artifacts, root)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    assert CHROMIUM is not None and DRIVER is not None
    options.binary_location = CHROMIUM
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(SECONDS)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, server: Server) -> Page:
    found = Page(browser, server.url)
    found.open()
    found.until(lambda: found.source("scene-image"))
    return found


@needs_browser
def test_a_palette_is_dragged_locked_typed_and_stepped_back(page: Page) -> None:
    first = page.source("scene-layout")
    slider = "[aria-label='share of car']"
    page.changes("scene-layout", lambda: page.drag(slider, (0.3, 0.5), (0.7, 0.5)))
    assert page.find("[aria-label='car is locked; change']").text == "locked"
    page.js("arguments[0].focus()", page.find(slider))
    page.changes("scene-layout", lambda: page.press("\ue014", "\ue014"))  # arrow right, twice
    box = page.find("[aria-label='car, percent']")
    page.js("arguments[0].select()", box)
    page.changes("scene-layout", lambda: box.send_keys("30\n"))
    # what the arrows asked for may be shown first
    made = re.compile(r"car: asked 30\.0 %, made (29|30)\.\d %")
    row = "return arguments[0].parentElement.parentElement.title"
    page.until(lambda: made.match(page.js(row, page.find(slider))), "what was typed is not shown")
    page.until(lambda: page.text("scene-warnings"), "30 % of cars are like no real pair")
    page.js("document.activeElement.blur()")
    while not page.find("#undo").get_property("disabled"):
        page.find("#undo").click()
    page.until(lambda: page.source("scene-layout") == first, "the first scene came not back")
    page.changes("scene-layout", page.find("#redo").click)
    for dice in ("all", "palette", "layout", "painter", "style"):
        page.changes("scene-image", page.find(f"[data-dice={dice}]").click)
    page.changes("scene-image", page.find("#looks button:nth-child(6)").click)
    assert "in the look of scene-5" in page.text("scene-facts")
    page.find("#variants").click()
    page.until(
        lambda: page.js("return document.querySelectorAll('#variant-grid img').length") == 24
    )
    page.changes("scene-image", page.find("#variant-grid button:nth-child(4)").click)
    assert int(page.js("return document.getElementById('palette').dataset.ms")) > 0
    assert page.errors() == []


@needs_browser
def test_a_link_shows_the_same_again_and_a_damaged_one_says_so(page: Page, server: Server) -> None:
    page.changes("scene-image", page.find("[data-dice=layout]").click)
    shown, link = page.source("scene-image"), page.browser.current_url
    page.open(link)
    page.until(lambda: page.source("scene-image") == shown, "the link shows something else")
    page.open(server.url + "#palette.bm9uc2Vuc2U")
    page.until(lambda: "damaged" in page.line or "not a state" in page.line)
    page.until(lambda: page.source("scene-image"), "and the page starts anew")


@needs_browser
def test_pairs_are_edited_by_pointer_and_by_keys(page: Page) -> None:
    page.part("edit")
    page.until(lambda: page.source("after") and page.text("edit-facts"))
    start = page.source("after")

    def tool(name: str) -> None:
        page.find(f"[name=tool][value={name}]").click()

    def steps() -> int:
        return page.js("return document.querySelectorAll('#steps li').length")

    page.changes("after", lambda: page.drag("#board", (0.2, 0.5), (0.5, 0.5)))
    tool("box")
    page.changes("after", lambda: page.drag("#board", (0.6, 0.2), (0.9, 0.6)))
    tool("brush")
    page.value("edit-class", "sky")
    page.changes("after", lambda: page.drag("#board", (0.1, 0.9), (0.4, 0.9)))
    tool("remove")
    page.js("document.getElementById('board').focus()")
    page.changes("after", lambda: page.press("\ue012" * 3, " ", " "))  # arrow left, press, let go
    page.until(lambda: page.js("return document.querySelectorAll('#objects button').length"))
    page.changes("after", lambda: _carry(page))
    assert steps() == 5
    page.value("edit-class", "car")
    page.value("edit-share", "25")
    page.changes("after", page.find("#edit-grow").click)
    assert page.js("return document.getElementById('edit').dataset.outside") == "0"
    page.find("#step-mirror").click()
    page.until(lambda: "put no object" in page.line)
    page.changes("after", page.find("#step-dice").click)
    page.value("wipe", "100", "input")
    assert (
        page.js("return document.getElementById('before').style.clipPath")
        == "inset(0px 0% 0px 0px)"
    )
    for left in range(5, -1, -1):
        page.find("#step-back").click()
        page.until(lambda left=left: steps() == left)
    page.until(lambda: page.source("after") == start, "undoing all left something")
    assert page.errors() == []


def _carry(page: Page) -> None:
    """Drag an object out of the bank into the picture."""
    from selenium.webdriver.common.action_chains import ActionChains

    thing, board = page.find("#objects button"), page.find("#board")
    page.js("window.scrollTo(0, 0)")
    chain = ActionChains(page.browser).move_to_element(thing).click_and_hold()
    chain.move_to_element(board).move_by_offset(30, 40).release().perform()


@needs_browser
def test_faces_walks_and_the_judge(page: Page, tmp_path: Path) -> None:
    page.part("faces")
    page.until(lambda: page.source("face-after"))
    assert page.find("#no-faces").is_displayed(), "there are no faces among streets"
    slider = "#face-sliders [aria-label='share of car']"
    page.changes("face-after", lambda: page.drag(slider, (0.3, 0.5), (0.6, 0.5)))
    page.changes("face-after", page.find("[aria-label='car: own look; change']").click)
    page.part("walks")
    page.value("walk-frames", "4")
    page.find("#walk-go").click()
    page.until(lambda: page.js("return document.querySelectorAll('#strip img').length") == 8)
    assert "one mode kept" in page.text("walk-facts")
    assert page.source("walk-gif").startswith("data:image/gif")
    page.part("judge")
    page.find("#judge-go").click()
    page.until(lambda: "nearest training pair" in page.text("judge-facts"))
    files = {
        "notes.png": (b"these are notes", "no intact picture"),
        "large.png": (b"\0" * (33 * 2**20), "more than 32 MB"),
    }
    for name, (content, says) in files.items():
        (tmp_path / name).write_bytes(content)
        page.find("#judge-file").send_keys(str(tmp_path / name))
        page.until(lambda says=says: says in page.line)
    Image.new("RGB", (9000, 6000)).save(tmp_path / "huge.png")
    page.find("#judge-file").send_keys(str(tmp_path / "huge.png"))
    page.until(lambda: "more than 50 million" in page.line)
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "good.png")
    page.find("#judge-file").send_keys(str(tmp_path / "good.png"))
    page.until(lambda: page.line == "" and "labelled" not in page.text("judge-facts"))


@needs_browser
def test_pairs_are_kept_opened_and_deleted_in_two_tabs(page: Page, artifacts: Path) -> None:
    def kept() -> int:
        if page.find("#gallery").get_attribute("aria-busy") == "true":
            return -1
        return page.js("return document.querySelectorAll('#gallery figure').length")

    page.part("keep")
    page.find("#keep-go").click()
    page.until(lambda: " is in kept/mine." in page.line)
    page.until(lambda: kept() == 1)
    page.find("#keep-go").click()
    page.until(lambda: "is in mine already" in page.line)
    first = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    page.open()
    page.until(lambda: page.source("scene-image"))
    page.changes("scene-image", page.find("[data-dice=all]").click)
    page.part("keep")
    page.find("#keep-go").click()
    page.until(lambda: kept() == 2)
    page.browser.close()
    page.browser.switch_to.window(first)
    page.value("filter-least", "1")
    page.until(lambda: kept() == 2)
    page.value("filter-cell", "real/0")
    page.until(lambda: re.search(r": \d+\.\d+ %", page.text("gallery")))
    page.find("#gallery figure:nth-child(2) button").click()
    page.until(lambda: "pair 1 of a set" in page.text("scene-facts"))
    page.part("keep")
    page.until(lambda: kept() == 2)
    page.find("#gallery figure:nth-child(1) input").click()
    page.find("#gallery-drop").click()
    page.until(lambda: kept() == 1 and "1 are left" in page.line)
    page.find("#export-go").click()
    page.until(lambda: "written to" in page.line)
    assert (artifacts / "exports" / "kept-mine-mmseg").is_dir()
    assert page.errors() == []


@needs_browser
def test_a_studio_that_stops_loses_nothing(page: Page, server: Server) -> None:
    page.changes("scene-image", page.find("[data-dice=layout]").click)
    shown = page.source("scene-image")
    server.stop()
    page.find("[data-dice=palette]").click()
    page.until(lambda: "does not answer" in page.line)
    assert page.source("scene-image") == shown, "what was there stays"
    server.start()
    page.until(lambda: page.source("scene-image") != shown, "it goes on by itself")
    page.until(lambda: page.line == "")


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_every_part_fits_the_screen_and_works_with_the_keyboard(page: Page, width: int) -> None:
    page.open(width=width)
    page.until(lambda: page.source("scene-image"))
    page.js("document.querySelector('[data-part=palette]').focus()")
    for name in ("edit", "faces", "walks", "judge", "keep"):
        page.press("\ue014")  # arrow right
        page.until(lambda name=name: page.find(f"#{name}").is_displayed())
        page.until(lambda: page.js("return document.documentElement.scrollWidth") <= width)
        assert page.js(UNNAMED, name) == []


@needs_browser
def test_with_nothing_trained_the_page_says_what_to_do(
    browser: Any, root: Path, tmp_path: Path
) -> None:
    server = Server(tmp_path / "nothing", root)
    try:
        page = Page(browser, server.url)
        page.open()
        page.until(lambda: "make repro" in page.text("command"))
        assert "holds no real pairs" in page.text("lacks") and "hour" in page.text("takes")
    finally:
        server.stop()


def test_a_port_in_use_and_a_file_are_one_line(root: Path, tmp_path: Path) -> None:
    import socket

    words = [sys.executable, "-m", "studio"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*words, "--port", port], cwd=root, capture_output=True, text=True, check=False
        )
    assert ended.returncode == 2 and "choose another one with --port" in ended.stderr
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [*words, "--artifacts", str(tmp_path / "file")],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2 and "is not a folder" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
