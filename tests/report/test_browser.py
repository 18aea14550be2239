"""The page in a real browser: Chromium, without a network and without a display."""

import json
import shutil
from datetime import datetime, timezone

import pytest

from lmol.report.page import render_page
from lmol.report.recipes import subject_of
from lmol.report.runs import reported_runs
from tests.report.run_folders import make_run, make_sweep

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900")
SORTED = """
const [table, place] = arguments;
return [...document.querySelectorAll("table")[table].tBodies[0].rows]
  .map((row) => row.cells[place].textContent);
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of three recipes, one with a hostile name, one without a Pearson correlation."""
    folder = tmp_path_factory.mktemp("page")
    first = make_sweep(folder / "a", (0.80, 0.95, 0.81))
    second = make_sweep(folder / "b", (0.84, 0.85), name="<script>window.hit = 1</script>", lr=5.0)
    third = make_run(folder / "c", name="x" * 80, image="<img src=//x.invalid/y onerror=hit=1>")
    known = json.loads((third / "metrics.json").read_text())
    (third / "metrics.json").write_text(json.dumps(known | {"pearson": None}))
    folders = [str(place) for place in (first, second, third)]
    file = folder / "report.html"
    made = datetime(2026, 11, 24, tzinfo=timezone.utc)
    file.write_text(render_page(subject_of(reported_runs(folders)), made))
    return file


@pytest.fixture(scope="module")
def browser():
    """Chromium with the logs of its console and of its network."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(page.as_uri())
    return browser


def at_width(browser, width):
    size = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_nothing_is_fetched_and_the_console_is_silent(opened, page):
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    sent = [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]
    assert {url for url in sent if not url.startswith("data:")} == {page.as_uri()}
    assert opened.get_log("browser") == []


def test_names_run_no_code(opened):
    assert opened.execute_script("return window.hit") is None
    assert "<script>window.hit = 1</script>" in opened.find_element("tag name", "h1").text


def test_every_picture_loads(opened):
    script = "return [...document.images].map((image) => image.complete && image.naturalWidth)"
    widths = opened.execute_script(script)
    assert len(widths) >= 6
    assert all(widths)


def test_a_click_sorts_and_another_turns_it_round(opened):
    heading = opened.find_elements("css selector", "#results thead th")[2]
    title = heading.find_element("tag name", "button")
    before = opened.execute_script(SORTED, 0, 2)
    title.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert opened.execute_script(SORTED, 0, 2) == sorted(before)
    title.click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert opened.execute_script(SORTED, 0, 2) == sorted(before, reverse=True)


def test_what_is_not_known_sorts_last_either_way(opened):
    pearson = 5
    title = opened.find_elements("css selector", "#results thead button")[pearson]
    for _ in range(2):
        title.click()
        assert opened.execute_script(SORTED, 0, pearson)[-1].startswith("–")


@pytest.mark.parametrize("width", [390, 320, 768])
def test_the_page_does_not_scroll_sideways(opened, width):
    at_width(opened, width)
    for folded in opened.find_elements("tag name", "details"):
        opened.execute_script("arguments[0].open = true", folded)
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_paper_and_ink_follow_the_scheme(opened, scheme, dark):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    paper, ink = (_brightness(color) for color in opened.execute_script(script))
    assert (paper < ink) is dark
    assert abs(paper - ink) > 150


def _brightness(color):
    numbers = color[color.index("(") + 1 : -1].split(",")
    return sum(float(number) for number in numbers[:3]) / 3
