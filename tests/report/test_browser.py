"""The page in a real browser: no complaint or request; mouse, keyboard and paper; every width and theme."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.report.browser import Browser, find_browser

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium found (apt-get install chromium)")

ENTER, SPACE, TAB, LEFT, ESCAPE = (13, "\r"), (32, " "), (9, ""), (37, ""), (27, "")
OPEN = "document.querySelectorAll('details').forEach(one => { one.open = true; })"
# Ratios of contrast below 4.5 (WCAG AA) of any visible text and the ground behind it.
CONTRASTS = """(() => {
  const line = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => line(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (!color.endsWith(', 0)')) return color;
    }
  };
  const ratio = (e) => {
    const one = light(getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color']), two = light(ground(e));
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  };
  return [...document.querySelectorAll('p, dt, dd, td, th, a, span, b, figcaption, small, summary, button, svg text')]
    .filter(e => e.checkVisibility() && e.textContent.trim() && ratio(e) < 4.5)
    .map(e => [ratio(e), e.outerHTML.slice(0, 90)]);
})()"""
# Elements that reach beyond the window, other than inside what scrolls by itself.
BEYOND = """[...document.querySelectorAll('main *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .filter(e => !e.closest('.scroll, .wide, .view, .hidden, .key, svg')).map(e => e.outerHTML.slice(0, 80))"""
ORDER = "[...document.querySelectorAll('.t-results tbody tr')].map(row => row.cells[0].dataset.sort)"


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with Browser(PROGRAM) as one:
        yield one


@pytest.fixture
def browser(started, full) -> Browser:
    started.open(full[1] / "index.html", 1440)
    return started


def press(browser: Browser, key: str, code: tuple[int, str]) -> None:
    browser.press(key, *code)


def test_complaints_are_heard(started, tmp_path):
    """The other tests mean something only if a bad page is noticed."""
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('one'); throw new Error('two')</script>")
    started.open(page, 360)
    told = " ".join(started.complaints())
    assert "127.0.0.1" in told and "one" in told and "exception" in told


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_overflows_and_nothing_complains(started, full, width, dark):
    for page in (full[1] / "index.html", full[1].parent / "index.html"):
        started.open(page, width, dark=dark)
        started.run(OPEN)
        assert started.run("document.documentElement.scrollWidth") == width
        assert started.run(BEYOND) == []
        assert started.run(CONTRASTS) == []
        assert started.complaints() == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_the_first_screen_shows_the_answer_and_a_picture(started, full, width, height):
    started.open(full[1] / "index.html", width, height)
    shown = "[...document.querySelectorAll('h1, .strip figure:nth-child(3) img')]"
    assert max(started.run(f"{shown}.map(e => e.getBoundingClientRect().bottom)")) < height
    assert started.run("document.querySelectorAll('.t-answer tbody tr').length") <= 7


def test_everything_but_answer_and_pictures_is_folded(browser):
    opened = browser.run("[...document.querySelectorAll('details[open]')].map(one => one.id)")
    assert opened == ["pictures"]


def test_a_link_opens_its_section_by_mouse_and_by_address(browser, full):
    browser.click('nav a[href="#claims"]')
    assert browser.run("new Promise(done => setTimeout(() => done(document.querySelector('#claims').open), 100))")
    browser.run("location.hash = '#t-cost'")
    assert browser.run("new Promise(done => setTimeout(() => done(document.querySelector('#cost').open), 100))")


def test_tables_sort_best_first_and_back_by_mouse_and_keyboard(browser):
    browser.run(OPEN)
    head = ".t-results thead th:nth-child(2) .sort"
    before = browser.run(ORDER)
    browser.click(head)
    errors = browser.run(
        "[...document.querySelectorAll('.t-results tbody tr')].map(row => Number(row.cells[1].dataset.sort))"
    )
    assert errors == sorted(errors) and browser.run(ORDER) != before
    browser.run(f"document.querySelector({json.dumps(head)}).focus()")
    press(browser, "Enter", ENTER)
    assert browser.run(ORDER)[0] == "gray"
    assert browser.run("document.querySelector('.t-results [aria-sort=descending]') !== null")
    assert browser.run("document.querySelector('.t-results').parentElement.querySelector('[role=status]').textContent")


def test_the_slider_follows_mouse_and_keys(browser):
    assert browser.run("!document.querySelector('.compare').hidden")
    browser.click(".view", 0.25)
    at = "Number(document.querySelector('.compare input').value)"
    assert abs(browser.run(at) - 25) <= 1
    browser.run("document.querySelector('.compare input').focus()")
    press(browser, "ArrowLeft", LEFT)
    assert abs(browser.run(at) - 24) <= 1
    assert browser.run("document.querySelector('.view').style.getPropertyValue('--at')") == f"{browser.run(at)}%"
    assert browser.run("document.querySelector('.compare input').getAttribute('aria-valuetext')")


def test_a_click_on_a_picture_puts_it_on_the_right(browser):
    picture = ".pictures tbody tr:nth-child(2) td:nth-child(5) img"
    browser.click(picture)
    assert browser.run("['row', 'right'].map(name => document.querySelector(`[name=${name}]`).value)") == ["1", "4"]
    assert browser.run(f"document.querySelector('.view .under').src === document.querySelector('{picture}').src")


def test_the_key_lights_up_one_arm_in_every_figure(browser):
    browser.run(OPEN)
    browser.click(".key button")
    arm = browser.run("document.querySelector('.key button').dataset.arm")
    assert browser.run("document.querySelector('.key button').getAttribute('aria-pressed')") == "true"
    lit = browser.run("[...new Set([...document.querySelectorAll('figure svg .lit')].map(e => e.dataset.arm))]")
    assert lit == [arm] and browser.run("document.querySelectorAll('figure svg.dim').length") > 5


def test_cards_of_metrics_open_by_key_and_close_by_escape(browser):
    browser.run(OPEN)
    browser.run("document.querySelector('.t-results .info').focus()")
    press(browser, "Enter", ENTER)
    shown = "document.querySelectorAll('.card:popover-open').length"
    assert browser.run(shown) == 1
    press(browser, "Escape", ESCAPE)
    assert browser.run(shown) == 0


def test_the_first_tab_skips_to_the_answer(browser):
    press(browser, "Tab", TAB)
    assert browser.run("document.activeElement.getAttribute('href')") == "#answer"


def test_it_prints(browser):
    assert browser.pdf().startswith(b"%PDF")
    assert browser.run("document.querySelectorAll('details[open]').length") == 1
