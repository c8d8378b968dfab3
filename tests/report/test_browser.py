"""The page of an audit in a real browser: a headless Chromium, where one is installed."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.report._figures import LOOKS

from .examples import IMAGE, LONG, SCRIPT, animals, strange_audit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no Chromium is installed, none of {', '.join(NAMES)} is on the path")
    with api.sync_playwright() as playwright:
        # no sandbox: containers do not allow it, and the pages are our own
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files with the page of an ordinary audit with a model, and one of strange names."""
    folder = tmp_path_factory.mktemp("pages")
    truth, predicted, groups = animals()
    X = pd.DataFrame({"guess": predicted == "cat", "noise": np.arange(len(truth)) % 7})
    model = LogisticRegression().fit(X, truth)
    files = {name: folder / f"{name}.html" for name in ("plain", "strange")}
    GroupAudit.from_estimator(model, X, truth, groups=groups).to_html(files["plain"])
    strange_audit().to_html(files["strange"])
    return files


@pytest.fixture
def visit(browser, pages):
    """Open a page; at the end of the test nothing may have been loaded or complained about."""
    opened = []

    def open_page(name, *, width=1280, **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.problems, page.requests = [], []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("dialog", lambda dialog: (page.problems.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(pages[name].as_uri())
        opened.append((page, pages[name].as_uri()))
        return page

    yield open_page
    for page, url in opened:
        loaded = [request for request in page.requests if not request.startswith("data:image/svg")]
        assert loaded == [url]
        assert page.problems == []
        page.close()


def order(page, table=0):
    return page.locator("table.sortable").nth(table).locator("tbody th").all_inner_texts()


def header(page, name):
    return page.get_by_role("columnheader", name=name, exact=True).first


def names(texts):
    return [text.split(",")[0] + "," + text.split("place=")[1].split()[0] for text in texts]


def test_the_table_sorts_by_mouse(visit):
    page = visit("plain")
    first = order(page)
    assert header(page, "Accuracy").get_attribute("aria-sort") == "ascending"
    assert "worst" in first[0]
    page.get_by_role("button", name="Accuracy", exact=True).click()
    assert order(page) == first[::-1]
    assert header(page, "Accuracy").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Samples").click()
    assert header(page, "Accuracy").get_attribute("aria-sort") == "none"
    assert header(page, "Samples").get_attribute("aria-sort") == "ascending"
    counts = page.locator("table.sortable").first.locator("tbody td:nth-child(4)").all_inner_texts()
    counts = [int(count.replace(",", "")) for count in counts]
    assert counts == sorted(counts)
    assert len(counts) == 6


def test_the_table_sorts_by_keyboard(visit):
    page = visit("plain")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Group":
            break
    page.keyboard.press("Enter")
    assert header(page, "Group").get_attribute("aria-sort") == "ascending"
    texts = names(order(page))
    assert texts == sorted(texts)
    assert page.locator("#sorted").inner_text() == "Sorted by Group, ascending."
    page.keyboard.press("Space")
    assert header(page, "Group").get_attribute("aria-sort") == "descending"
    assert names(order(page)) == texts[::-1]
    outline = page.evaluate("getComputedStyle(document.activeElement).outline")
    assert "solid 3px" in outline  # one sees where one is


def test_each_table_sorts_alone_and_what_is_missing_stays_at_the_end(visit):
    page = visit("plain")
    before = order(page)
    page.get_by_role("button", name="Brier score").nth(1).click()
    assert order(page) == before
    for _ in range(2):
        page.get_by_role("button", name="Adjusted p").click()
        assert "worst" in order(page)[-1]  # it has no p-value


def test_all_that_scrolls_can_be_reached_by_keyboard(visit):
    page = visit("plain", width=320)
    unreachable = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((element) =>
            ["auto", "scroll"].includes(getComputedStyle(element).overflowX)
            && element.scrollWidth > element.clientWidth
            && (element.tabIndex < 0 || !element.getAttribute("role"))).length"""
    )
    assert unreachable == 0
    assert page.locator("[role=region][tabindex='0']").count() >= 5


def test_pictures_are_drawn_and_have_a_text_that_says_what_they_show(visit):
    page = visit("plain")
    pictures = page.get_by_role("img").all()
    assert len(pictures) == 3
    for picture in pictures:
        assert len(picture.get_attribute("alt")) > 50
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    assert "cat, place=outdoor" in pictures[0].get_attribute("alt")


def test_the_structure_is_that_of_a_document(visit):
    page = visit("plain")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title() == "Group audit of LogisticRegression"
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.get_by_role("main").count() == 1
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(identifiers) == len(set(identifiers))
    missing = page.evaluate(
        """() => [...document.querySelectorAll("[aria-labelledby]")].filter((element) =>
            !document.getElementById(element.getAttribute("aria-labelledby"))).length"""
    )
    assert missing == 0


@pytest.mark.parametrize("name", ["plain", "strange"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast(visit, name, scheme):
    page = visit(name, color_scheme=scheme)
    found = page.evaluate(CONTRAST)
    assert found["texts"] > 50
    assert found["hard"] == []


def test_the_check_of_contrast_can_fail(visit):
    page = visit("plain")
    page.evaluate("document.querySelector('h1').style.color = '#808080'")
    assert [text for text, _ in page.evaluate(CONTRAST)["hard"]] == [page.title()]


def test_the_page_and_its_pictures_follow_the_readers_choice(visit):
    seen = {}
    for scheme in ("light", "dark"):
        page = visit("plain", color_scheme=scheme)
        seen[scheme] = (
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
            page.evaluate("[...document.images].map(image => image.currentSrc)"),
            page.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor"),
        )
    assert seen["light"][0] != seen["dark"][0]
    assert not set(seen["light"][1]) & set(seen["dark"][1])
    for scheme, look in LOOKS.items():  # the pictures have the colour of what is around them
        red, green, blue = (int(look.background[at : at + 2], 16) for at in (1, 3, 5))
        assert seen[scheme][2] == f"rgb({red}, {green}, {blue})"


def test_paper_is_white(visit):
    page = visit("plain", color_scheme="dark")
    dark = page.evaluate("document.images[0].currentSrc")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 27, 27)"
    page.wait_for_function("dark => document.images[0].currentSrc !== dark", arg=dark)


def test_names_are_text_and_run_nothing(visit):
    page = visit("strange")
    assert page.evaluate("window.broken") is None
    assert page.locator("body b, body [onerror], body [onmouseover]").count() == 0
    rows = "\n".join(order(page))
    assert SCRIPT in rows
    assert f"<b>group</b>={IMAGE}" in rows
    for button in page.get_by_role("button").all():
        button.click()
    page.mouse.move(300, 700)
    assert page.evaluate("window.broken") is None


def test_without_the_policy_they_would_run_nothing_either(browser, pages, tmp_path):
    """The names are escaped; the policy is a second wall."""
    text = pages["strange"].read_text("utf-8").replace("Content-Security-Policy", "nothing")
    (tmp_path / "open.html").write_text(text, "utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "open.html").as_uri(), wait_until="networkidle")
    assert page.evaluate("window.broken") is None
    page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {'x' + IMAGE!r})")
    page.wait_for_function("window.broken === 'image'")  # the names are such as would run
    page.close()


@pytest.mark.parametrize("name", ["plain", "strange"])
@pytest.mark.parametrize("width", [320, 768])
def test_narrow_screens_do_not_scroll_sideways(visit, name, width):
    page = visit(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if name == "strange":
        assert LONG in page.locator("body").inner_text()
