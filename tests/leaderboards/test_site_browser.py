"""The site in headless Chromium: sorting, filtering, no network, bad names, a phone's width (faults rows 78 and 79)."""

import json
import shutil
import time
from urllib.parse import unquote, urlparse

import pytest
from sites import HOSTILE

PHONE, DESKTOP = (360, 800), (1280, 900)


@pytest.fixture(scope="module")
def chromium():
    """One browser for all tests of this file; it cannot reach any host."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    service = shutil.which("chromedriver")
    if not browser or not service:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs the extra [test]")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=service))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(chromium):
    """Opens a page of a site, at a width; gives the browser."""

    def show(path, size=DESKTOP):
        width, height = size
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        chromium.get_log("browser"), chromium.get_log("performance")
        chromium.get(path.as_uri())
        return chromium

    yield show
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def settled(driver, wanted):
    """(width of the page, of its window) once the window has the width wanted and the page fits, or after ten seconds.

    Under load Chromium first shows a page at the width of its unstyled content; a page that is too wide stays so.
    """
    end = time.monotonic() + 10
    while True:
        width, screen = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        if width <= screen == wanted or time.monotonic() > end:
            return width, screen
        time.sleep(0.05)


def of_each_kind(folder):
    """One page of each kind, and all that hold tables of their own."""
    return [folder / "index.html", *sorted(folder.glob("*/*.html"))[:8], *sorted((folder / "runs").glob("*.html"))[:4]]


def column(driver, table, heading):
    """(block, value) of every cell under a heading, in the order on the page; the value is None where there is none."""
    return driver.execute_script(
        """
        const table = document.querySelectorAll("main table")[arguments[0]];
        const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === arguments[1]);
        return [...table.tBodies].flatMap((body, block) => [...body.rows]
            .filter((row) => row.cells.length > at)
            .map((row) => [block, row.cells[at].dataset.value ? Number(row.cells[at].dataset.value) : null]));
        """,
        table,
        heading,
    )


def heading(driver, table, text):
    return next(
        cell
        for cell in driver.find_elements("css selector", "main table")[table].find_elements("css selector", "thead th")
        if cell.text.strip() == text
    )


def shown(driver, table=0):
    rows = driver.find_elements("css selector", "main table")[table].find_elements("css selector", "tbody tr")
    return [row.text for row in rows if row.is_displayed()]


def run_page(site):
    """The page of a run with a missed structure."""
    folder, records = site
    return folder / "runs" / f"{next(record for record in records if record.method == 'beta').id()[:12]}.html"


def test_a_click_sorts_by_the_number_and_another_the_other_way(open_page, site):
    driver = open_page(run_page(site))
    cases = 1  # the first table holds the means
    before = [value for _, value in column(driver, cases, "hd95")]
    assert before[0] is None and len(set(before)) > 2
    head = heading(driver, cases, "hd95")
    head.find_element("css selector", "button").click()
    known = sorted(value for value in before if value is not None)
    assert [value for _, value in column(driver, cases, "hd95")] == [*known, None]
    assert head.get_attribute("aria-sort") == "ascending"
    head.find_element("css selector", "button").click()
    assert [value for _, value in column(driver, cases, "hd95")] == [*reversed(known), None]
    assert head.get_attribute("aria-sort") == "descending"
    other = heading(driver, cases, "dice")
    other.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") is None and other.get_attribute("aria-sort") == "ascending"


def test_sorting_takes_the_keyboard(open_page, site):
    from selenium.webdriver.common.keys import Keys

    driver = open_page(run_page(site))
    heading(driver, 1, "dice").find_element("css selector", "button").send_keys(Keys.ENTER)
    values = [value for _, value in column(driver, 1, "dice")]
    assert values == sorted(values)


def test_rows_stay_in_their_block_and_speeds_of_two_machines_have_no_order(open_page, site):
    driver = open_page(site[0] / "acdc" / "index.html")
    before = column(driver, 0, "Dice")
    heading(driver, 0, "Dice").find_element("css selector", "button").click()
    after = column(driver, 0, "Dice")
    assert [block for block, _ in after] == [block for block, _ in before]
    assert after != before and sorted(after) == sorted(before)
    for block in {block for block, _ in before}:
        assert [v for b, v in after if b == block] == sorted(v for b, v in before if b == block)
    assert heading(driver, 0, "s/case").find_elements("css selector", "button") == []


def test_the_filter_hides_rows_and_says_how_many_are_left(open_page, site):
    driver = open_page(run_page(site))
    field = driver.find_element("css selector", ".filter input")
    field.send_keys("SPLEEN p1")
    assert [row.split()[:2] for row in shown(driver, 1) if "cases" not in row] == [["p1", "spleen"]]
    assert driver.find_element("css selector", ".filter output").text == "1 of 16 rows"
    field.clear()
    field.send_keys("nothing like this")
    assert shown(driver, 1) == []


def test_without_javascript_everything_is_there(open_page, chromium, site):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver = open_page(run_page(site))
    assert driver.find_elements("css selector", "button, input") == []
    assert sum("spleen" in row for row in shown(driver, 1)) == 8


def test_nothing_is_asked_of_the_network_and_nothing_is_refused(open_page, site, bad_site):
    for folder, _ in (site, bad_site):
        for page in of_each_kind(folder):
            driver = open_page(page)
            driver.execute_script("document.querySelectorAll('img').forEach((each) => { each.loading = 'eager'; })")
            events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
            asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
            asked |= set(driver.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)"))
            assert len(asked) >= 3
            for url in asked:
                assert urlparse(url).scheme == "file" and unquote(urlparse(url).path).startswith(f"{folder}/"), url
            assert [entry["message"] for entry in driver.get_log("browser")] == [], page


def test_a_page_cannot_be_made_to_fetch(open_page, site):
    driver = open_page(site[0] / "index.html")
    refused = driver.execute_async_script(
        """
        const done = arguments[0];
        const image = new Image();
        image.onerror = () => done("refused");
        image.onload = () => done("loaded");
        image.src = "http://example.invalid/x.png";
        """
    )
    assert refused == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))


def test_every_picture_loads(open_page, site, bad_site):
    for folder, _ in (site, bad_site):
        for page in of_each_kind(folder):
            driver = open_page(page)
            widths = driver.execute_async_script(
                """
                const done = arguments[0];
                const images = [...document.images];
                for (const each of images) each.loading = "eager";
                Promise.all(images.map((each) => each.decode().catch(() => null)))
                    .then(() => done(images.map((each) => each.naturalWidth)));
                """
            )
            assert all(width > 0 for width in widths), page


@pytest.mark.fault(78)
def test_bad_names_stay_text_and_run_nothing(open_page, bad_site):
    folder, _ = bad_site
    seen = ""
    for page in sorted(folder.rglob("*.html")):
        driver = open_page(page)
        assert driver.execute_script("return typeof window.hacked") == "undefined", page
        assert driver.execute_script("return document.querySelectorAll('script').length") == 1, page
        assert driver.execute_script("return document.querySelectorAll('img[onerror], [src=x]').length") == 0, page
        seen += driver.execute_script("return document.body.textContent + document.title")
    assert HOSTILE[0] in seen and HOSTILE[1] in seen
    assert "\u202e" not in seen


@pytest.mark.fault(78)
def test_sorting_and_filtering_bad_names_runs_nothing(open_page, bad_site):
    folder, _ = bad_site
    for page in sorted(folder.glob("*/index.html")):
        driver = open_page(page)
        for button in driver.find_elements("css selector", "thead button"):
            driver.execute_script("arguments[0].click()", button)
        assert driver.execute_script("return typeof window.hacked") == "undefined"


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_page_is_wider_than_the_screen(open_page, site, bad_site, size):
    for folder, _ in (site, bad_site):
        for page in of_each_kind(folder):
            driver = open_page(page, size)
            width, screen = settled(driver, size[0])
            assert width <= screen == size[0], page


def test_on_a_phone_the_first_column_stays_while_a_table_scrolls(open_page, site):
    driver = open_page(site[0] / "acdc" / "full.html", PHONE)
    before, after, scrolled = driver.execute_script(
        """
        const frame = document.querySelector(".scroll");
        const head = frame.querySelector("th[scope=row]");
        const left = () => head.getBoundingClientRect().left;
        const before = left();
        frame.scrollLeft = 150;
        return [before, left(), frame.scrollLeft];
        """
    )
    assert scrolled == 150 and after == before
