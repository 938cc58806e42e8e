"""The page to watch and the report in a browser: by keyboard, without scripts, for screen readers, on small screens.

Usage: page.py ADDRESS REPORT_FILE [FOLDER_FOR_PICTURES]. Ends with 1 at the first case that fails; its last line counts the cases.
"""

import os
import pathlib
import re
import shutil
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

ADDRESS, REPORT = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
PICTURES = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
VIEWS = {"status": "/", "exceptions": "/exceptions", "check": "/exceptions?check=I2", "trends": "/trends",
         "coverage": "/coverage?status=all", "past": "/?as_of=commit:1", "refused": "/?as_of=nonsense", "nothing": "/nowhere"}
passed = 0


def case(name):
    global passed
    passed += 1
    print(f"ok {name}")


class Patient:
    """A browser whose pages wait for a busy machine."""

    def __init__(self, browser):
        self.browser = browser

    def new_context(self, **options):
        context = self.browser.new_context(**options)
        context.set_default_timeout(120_000)
        return context

    def close(self):
        self.browser.close()


def watched(page):
    """Notes what the browser complains of."""
    page.complaints = []
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("requestfailed", lambda request: page.complaints.append(f"{request.url} failed"))
    return page


def quiet(page, allowed=()):
    told = [text for text in page.complaints if not any(word in text for word in allowed)]
    assert not told, told
    page.complaints.clear()


def focused(page):
    return page.evaluate("(() => { const e = document.activeElement; return e.id || e.textContent.trim(); })()")


def tab_to(page, wanted, most=80):
    """Presses Tab until something has the focus, which is seen each time."""
    for _ in range(most):
        page.keyboard.press("Tab")
        drawn = page.evaluate("(() => { const e = document.activeElement; const s = getComputedStyle(e); return e === document.body || s.outlineStyle !== 'none' && s.outlineWidth !== '0px'; })()")
        assert drawn, f"the focus on {focused(page)} is not seen"
        if focused(page) == wanted:
            return
    raise AssertionError(f"Tab never comes to {wanted}")


def logged_in(context):
    page = watched(context.new_page())
    page.goto(f"{ADDRESS}/log-in")
    page.fill("#name", "demo")
    page.fill("#password", "demo")
    page.click("main button")
    page.wait_for_url(f"{ADDRESS}/")
    return page


def path(page):
    return page.url[len(ADDRESS):]


def accessible(page, name):
    found = Axe().run(page)
    told = [(one["id"], one["help"], [node["target"] for node in one["nodes"]][:3]) for one in found.response["violations"]]
    assert not told, f"{name}: {told}"


def by_keyboard(browser):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = watched(context.new_page())
    page.goto(f"{ADDRESS}/exceptions")
    assert path(page).startswith("/log-in?next="), path(page)
    tab_to(page, "name")
    page.keyboard.type("demo")
    tab_to(page, "password")
    page.keyboard.type("demo")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{ADDRESS}/exceptions")
    case("log in by keyboard, and come to where one wanted to go")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content" and page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert focused(page) == "main"
    case("the skip link is seen and skips")
    tab_to(page, "check")
    page.keyboard.type("I2")
    assert page.input_value("#check") == "I2"
    tab_to(page, "text")
    page.keyboard.type("invoice")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("text=invoice"))
    assert path(page) == "/exceptions?check=I2&text=invoice", path(page)
    rows = page.locator("tbody tr")
    assert rows.count() > 0 and all(text.startswith("I2") for text in rows.all_inner_texts())
    assert int(page.inner_text("#total")) == rows.count()
    case("filter by keyboard; the address has what is asked for and nothing else")
    tab_to(page, page.locator("tbody th a").first.inner_text())
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/exception\\?"))
    assert page.locator("h1").count() == 1 and page.inner_text("h1").startswith("I2 ")
    tab_to(page, "Copy")
    command = page.inner_text("#waive-command")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.copied').textContent !== ''")
    assert page.evaluate("navigator.clipboard.readText()") == command, command
    assert re.fullmatch(r"tieout waive 'I2:[^']+' --reason '…' --by 'demo' --until \d{4}-\d\d-\d\d", command), command
    case("an exception's command is copied by keyboard")
    page.goto(f"{ADDRESS}/")
    tab_to(page, "as-of")
    page.keyboard.type("commit:1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("as_of=commit"))
    assert "Not the present: as of commit:1" in page.inner_text(".moment")
    page.click("nav >> text=Trends")
    page.wait_for_url(re.compile("/trends"))
    assert "as_of=commit" in page.url
    page.click("text=Show the present")
    page.wait_for_url(f"{ADDRESS}/trends")
    case("another moment, and back")
    tab_to(page, "Log out")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{ADDRESS}/log-in")
    page.goto(f"{ADDRESS}/")
    assert path(page).startswith("/log-in"), path(page)
    quiet(page)
    case("log out by keyboard")
    context.close()


def scheduled(browser):
    """What runs by itself, as .ci/pages wrote its ledger."""
    context = browser.new_context(java_script_enabled=False)
    page = logged_in(context)
    alarms = page.locator("section[aria-labelledby=unscheduled]")
    assert alarms.bounding_box()["y"] < page.locator("dl.figures").bounding_box()["y"]
    told = alarms.inner_text()
    for text in ["No server carries the schedule out now", "nightly failed on 2026-01-03", "(exit code 3): error: source procore: GET", "nightly was due on", "weekly was due on"]:
        assert text in told, (text, told)
    table = page.locator("section[aria-labelledby=schedule] table")
    assert table.locator("tbody th").all_inner_texts() == ["nightly", "proof", "weekly", "month_end"]
    words = table.locator("tbody tr").first.locator("pre")
    assert not words.is_visible()
    table.locator("summary").first.click()
    assert words.is_visible() and "hint: check base_url" in words.inner_text()
    case("the schedule: what needs somebody first, and all that a failed run said")
    context.close()


def without_scripts(browser):
    context = browser.new_context(java_script_enabled=False)
    page = logged_in(context)
    page.goto(f"{ADDRESS}/exceptions")
    page.select_option("#severity", "high")
    page.click("form.filters button")
    assert "severity=high" in page.url
    rows = page.locator("tbody tr")
    assert rows.count() > 0 and page.locator("tbody .severity.high").count() == rows.count()
    page.locator("tbody th a").first.click()
    assert page.locator("#waive-command").is_visible() and not page.locator("button.copy").first.is_visible()
    case("everything works without scripts")
    context.close()


def seen(browser):
    """Every view in both colour schemes and two widths: rules for screen readers and contrast, no scrolling sideways."""
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
            page = watched(context.new_page())
            page.goto(f"{ADDRESS}/log-in")
            accessible(page, "log-in")
            page.close()
            page = logged_in(context)
            page.goto(f"{ADDRESS}/exceptions?check=M2&state=all")
            links = page.locator("tbody th a")
            if links.count() == 0:
                page.goto(f"{ADDRESS}/exceptions?state=all")
            views = VIEWS | {"one": links.first.get_attribute("href")}
            for name, view in views.items():
                page.goto(f"{ADDRESS}{view}")
                accessible(page, f"{name} at {width} in {scheme}")
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} is {wide} wide at {width}"
                levels = [int(level) for level in page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(e => e.tagName[1])")]
                assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:])), (name, levels)
                if PICTURES:
                    page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
            quiet(page, allowed=["status of 400", "status of 404"])
            case(f"{len(views)} views at {width} pixels, {scheme}")
            if width == 1280 and scheme == "light":
                page.goto(f"{ADDRESS}/")
                page.emulate_media(media="print")
                assert not page.locator("header nav").is_visible() and page.locator("h1").is_visible()
                assert page.locator("#checks-caption").is_visible() and not page.locator("button").first.is_visible()
                case("on paper there is nothing to click")
            context.close()


def report(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = watched(context.new_page())
    page.goto(REPORT.as_uri())
    accessible(page, "the report")
    table = page.locator("section[aria-labelledby=checks] table")
    cells = lambda place: [text.strip() for text in table.locator(f"tbody tr > :nth-child({place})").all_inner_texts()]
    number = lambda text: -1 if text in ("–", "") else float(text.split()[0].replace(",", ""))
    before = cells(1)
    table.locator("th button", has_text="open").first.click()
    counts = [number(text) for text in cells(4)]
    assert counts == sorted(counts) and counts != [], counts
    table.locator("th button", has_text="open").first.click()
    counts = [number(text) for text in cells(4)]
    assert counts == sorted(counts, reverse=True), counts
    assert table.locator("th[aria-sort=descending]").count() == 1
    table.locator("th button", has_text="money at risk").press("Enter")
    amounts = [number(text) for text in cells(7)]
    assert amounts == sorted(amounts) and max(amounts) > 1000, amounts
    assert sorted(cells(1)) == sorted(before)
    case("the report's tables are sorted by their headings, as numbers")
    rows = page.locator("details.check tbody tr:not([hidden])")
    everything = page.locator("details.check tbody tr").count()
    assert rows.count() == everything > 5, everything
    page.fill("#filter", "invoice")
    found = rows.count()
    texts = [text.lower() for text in page.locator("details.check tbody tr:not([hidden])").all_text_contents()]
    assert 0 < found < everything and all("invoice" in text for text in texts)
    assert page.inner_text("#shown").split()[0] == str(found)
    page.select_option("#side", "pm")
    assert rows.count() <= found and page.locator("details.check tbody tr:not([hidden])[data-side=erp]").count() == 0
    page.fill("#filter", "")
    page.select_option("#side", "")
    assert rows.count() == everything
    case("the report's list is filtered by words and side, and counts what it shows")
    target = page.locator("section[aria-labelledby=checks] tbody a").first
    name = target.get_attribute("href")[1:]
    target.click()
    page.wait_for_function(f"document.getElementById('{name}').open")
    quiet(page)
    case("a check's name leads to its list")
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(REPORT.as_uri())
    assert plain.locator("details.check tbody tr").count() == everything
    case("without scripts the report has every row")
    small = browser.new_context(viewport={"width": 360, "height": 800}).new_page()
    small.goto(REPORT.as_uri())
    assert small.evaluate("document.documentElement.scrollWidth") <= 360
    case("the report at 360 pixels")


def main():
    if PICTURES:
        PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        own = shutil.which("chromium")
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = Patient(playwright.chromium.launch(executable_path=own, args=arguments))
        for part in (by_keyboard, without_scripts, scheduled, seen, report):
            part(browser)
        browser.close()
    print(f"{passed} passed, 0 failed")


main()
