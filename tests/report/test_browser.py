"""The page in a real browser: no complaint or request; mouse, keyboard and paper; every width and theme."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from study.report import write_index, write_report
from tests.report.browser import Browser, find_browser
from tests.report.synthetic import ARMS, build_results

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium found (apt-get install chromium)")

ENTER, SPACE, TAB, LEFT, RIGHT, ESCAPE = (13, "\r"), (32, " "), (9, ""), (37, ""), (39, ""), (27, "")
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
  return [...document.querySelectorAll('p, dt, dd, td, th, a, span, b, figcaption, small, svg text')]
    .filter(e => e.checkVisibility() && e.textContent.trim() && ratio(e) < 4.5)
    .map(e => [ratio(e), e.outerHTML.slice(0, 90)]);
})()"""
# Elements that reach beyond the window, other than inside what scrolls by itself.
BEYOND = """[...document.querySelectorAll('main *')]
      .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
      .filter(e => !e.closest('.scroll, .sideways, .strip, .panels.wide figure, .view, .hidden, svg'))
      .map(e => e.outerHTML.slice(0, 80))"""
ORDER = "[...document.querySelectorAll('.results tbody tr')].map(row => row.dataset.name)"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("browser")
    results = build_results(folder / "results", arms=ARMS[:1] + ARMS[2:7], images=3, broken={("strong", 1): "diverged"})
    page = write_report(results, folder / "reports" / results.name)
    write_index(folder / "reports")
    return results, page


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with Browser(PROGRAM) as one:
        yield one


@pytest.fixture
def browser(started, report) -> Browser:
    started.open(report[1], 1440)
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
def test_nothing_overflows_and_nothing_complains(started, report, width, dark):
    started.open(report[1], width, dark=dark)
    started.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    started.run("document.querySelector('.all').click()")
    assert started.run("document.documentElement.scrollWidth") == width
    assert started.run(BEYOND) == []
    assert started.complaints() == []


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1440, True)])
def test_a_report_of_many_arms_with_everything_overflows_nowhere(started, everything, width, dark):
    started.open(everything[1] / "index.html", width, dark=dark)
    started.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert started.run("document.documentElement.scrollWidth") == width
    assert started.run(BEYOND) == []
    assert started.run(CONTRASTS) == []
    assert started.complaints() == []


def test_folded_arms_are_one_click_away_by_mouse_and_keyboard(started, everything):
    started.open(everything[1] / "index.html", 1440)
    shown = "[...document.querySelectorAll('.pictures thead th')].filter(one => one.checkVisibility()).length"
    before = started.run(shown)
    started.click("#pictures .all-arms")
    assert started.run(shown) == 28 > before
    started.run("document.querySelector('#pictures .all-arms').focus()")
    press(started, " ", SPACE)
    assert started.run(shown) == before


def test_tables_of_evidence_sort_as_well(started, everything):
    started.open(everything[1] / "index.html", 1440)
    started.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    values = "[...document.querySelectorAll('.ledger tbody tr')].map(row => Number(row.cells[5].dataset.sort))"
    started.click(".ledger thead th:nth-child(6) .sort")
    found = started.run(values)
    assert found == sorted(found) and len(set(found)) > 10
    started.run("document.querySelector('.ledger thead th:nth-child(6) .sort').focus()")
    press(started, "Enter", ENTER)
    assert started.run(values) == found[::-1]


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_follows_the_reader_and_text_stays_readable(started, report, dark):
    started.open(report[1], 1440, dark=dark)
    contrasts = started.run(CONTRASTS)
    assert contrasts == []
    ground = started.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(json.loads(ground.removeprefix("rgb").replace("(", "[").replace(")", "]"))) < 200) == dark


def test_marks_are_lighter_on_dark_paper(started, report):
    found = []
    for dark in (False, True):
        started.open(report[1], 1440, dark=dark)
        found.append(started.run("getComputedStyle(document.querySelector('.mark path')).fill"))
    assert found == ["rgb(128, 135, 144)", "rgb(154, 161, 170)"]


@pytest.mark.parametrize("width", [360, 1440])
def test_a_figure_that_goes_on_beyond_a_narrow_window_says_so_until_it_is_moved(started, everything, width):
    started.open(everything[1] / "index.html", width)
    settled = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
    hints = """[...document.querySelectorAll('figure.sideways, .panels.wide figure')]
      .filter(one => one.checkVisibility())
      .map(one => [one.scrollWidth > one.clientWidth + 4, getComputedStyle(one, '::before')])
      .map(([more, hint]) => [more, hint.content !== 'none' && hint.visibility === 'visible'])"""
    started.run(settled)
    found = started.run(hints)
    assert all(more == told for more, told in found) and any(more for more, _ in found) == (width == 360)
    if width == 360:
        started.run(f"document.querySelector('figure.more').scrollLeft = 40; {settled}")
        assert started.run(hints)[0] == [True, False]


def test_a_click_on_a_heading_sorts_best_first_and_the_next_one_turns_it_round(browser, report):
    table = pd.read_csv(report[0] / "tables" / "arms.csv")
    head = ".results thead th:nth-child({})"
    names = browser.run(
        "[...document.querySelectorAll('.results tbody tr:first-child td')].map(cell => cell.dataset.metric)"
    )
    for metric, key in (
        ("ab_rmse", lambda s: s),
        ("chroma_ratio", lambda s: (s - 1).abs()),
        ("mode_commitment", lambda s: -s),
    ):
        place = names.index(metric) + 2
        expected = key(table[table["metric"] == metric].set_index("arm")["mean"]).sort_values().index.tolist()
        browser.click(head.format(place) + " .sort")
        assert browser.run(ORDER) == expected
        assert browser.run(f"document.querySelector('{head.format(place)}').getAttribute('aria-sort')") == "ascending"
        browser.click(head.format(place) + " .sort")
        assert browser.run(ORDER) == expected[::-1]
        assert browser.run("[...document.querySelectorAll('.results th[aria-sort]:not([aria-sort=none])')].length") == 1


@pytest.mark.parametrize(("key", "code"), [("Enter", ENTER), (" ", SPACE)])
def test_the_keyboard_sorts_as_well_and_the_change_is_announced(browser, key, code):
    browser.run("document.querySelector('.results .sort').focus()")
    press(browser, "Tab", TAB)
    assert browser.run("document.activeElement.matches('.results th:nth-child(2) .sort')")
    before = browser.run(ORDER)
    press(browser, key, code)
    assert browser.run(ORDER) != before
    assert browser.run("document.querySelector('#results [role=status]').textContent") == "Sorted by ab RMSE"


def test_the_slider_moves_by_keyboard_and_by_mouse(browser):
    def at() -> str:
        return browser.run("document.querySelector('.view').style.getPropertyValue('--at')")

    browser.run("document.querySelector('.compare input').focus()")
    assert at() == "50%"
    for _ in range(3):
        press(browser, "ArrowRight", RIGHT)
    assert at() == "53%"
    press(browser, "ArrowLeft", LEFT)
    assert at() == "52%"
    browser.click(".view", dx=0.25)
    assert at() == "25%"
    assert browser.run("document.querySelector('.compare input').value") == "25"


def test_the_slider_compares_any_two_columns_of_any_picture(browser):
    browser.run("""for (const [name, value] of [['left', 0], ['right', 4], ['row', 2]]) {
      const select = document.querySelector(`[name=${name}]`);
      select.value = value;
      select.dispatchEvent(new Event('change')); }""")
    same = """['.over', '.under'].map((one, i) => document.querySelector('.view ' + one).src ===
      document.querySelector(`.pictures tbody tr:nth-child(3) td:nth-child(${[1, 5][i]}) img`).src)"""
    assert browser.run(same) == [True, True]
    browser.click(".pictures tbody tr:nth-child(1) td:nth-child(6) img")
    assert browser.run("['row', 'right'].map(name => document.querySelector(`[name=${name}]`).value)") == ["0", "5"]


def test_a_metric_card_opens_by_keyboard_and_closes_with_escape(browser):
    browser.run("document.querySelector('.results .info').focus()")
    press(browser, "Enter", ENTER)
    assert "rewards averaging" in browser.run("document.querySelector('[popover]:popover-open').textContent").lower()
    press(browser, "Escape", ESCAPE)
    assert browser.run("document.querySelector('[popover]:popover-open')") is None


def test_pressing_an_arm_lights_it_up_in_every_figure_and_again_lets_go(browser):
    dimmed = "[...document.querySelectorAll('figure svg')].map(svg => svg.classList.contains('dim'))"
    browser.click(".key button[data-arm='1']")
    assert all(browser.run(dimmed))
    lit = "[...new Set([...document.querySelectorAll('.lit')].map(part => part.dataset.arm))]"
    assert browser.run(lit) == ["1"]
    keys = browser.run("document.querySelectorAll(\".key button[data-arm='1']\").length")
    pressed = "[...document.querySelectorAll('.key button[aria-pressed=true]')].map(b => b.dataset.arm)"
    assert keys >= 2 and browser.run(pressed) == ["1"] * keys
    browser.click(".key button[data-arm='1']")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert not any(browser.run(dimmed))


def test_all_metrics_are_one_click_away(browser):
    shown = "[...document.querySelectorAll('.results thead th')].filter(one => one.checkVisibility()).length"
    before = browser.run(shown)
    browser.click(".tools input.all")
    assert before == 9 and browser.run(shown) == 12


def test_it_prints_on_paper_with_everything_open(browser):
    paper = browser.pdf()
    assert paper.startswith(b"%PDF") and paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") >= 3
    assert browser.run("[...document.querySelectorAll('details[open]')].length") == 0
    assert browser.complaints() == []


def test_small_pictures_are_enlarged_as_squares(browser, tmp_path):
    browser.run(
        "const at = document.querySelector('.compare input'); at.value = 100; at.dispatchEvent(new Event('input'))"
    )
    browser.run("document.querySelector('.view').scrollIntoView({block: 'center', behavior: 'instant'})")
    box = browser.run(
        "(r => [r.left, r.top, r.right, r.bottom])(document.querySelector('.view .over').getBoundingClientRect())"
    )
    (tmp_path / "shot.png").write_bytes(browser.screenshot(whole=False))
    shot = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB").crop(tuple(map(round, box))))
    assert shot.shape[0] == 384
    blocks = shot.reshape(32, 12, 32, 12, 3)[4:24, 2:-2, 4:24, 2:-2]
    assert (blocks == blocks[:, :1, :, :1]).all()


def test_the_index_is_sound_too(started, report):
    for width in (360, 1440):
        started.open(report[1].parent.parent / "index.html", width)
        assert started.run("document.documentElement.scrollWidth") == width
        started.events.clear()
        started.click("h2 a")
        started.wait_until_loaded()
        assert started.complaints() == []
