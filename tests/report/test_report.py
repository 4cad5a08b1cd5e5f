"""The whole report: files, the same content in every format, the same bytes, awkward names, missing parts."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from study.errors import StudyError
from study.report import render, write_index, write_report
from study.report.load import load_result
from tests.report.synthetic import ARMS, GRAY, STUDY, MadeArm, build_results


class Page(HTMLParser):
    """What a page holds: ids, links, tables as texts, images and figures without a text of their own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.mute, self.cells, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        if (tag == "img" and "alt" not in values) or (
            tag == "svg" and values.keys().isdisjoint({"aria-label", "aria-hidden"})
        ):
            self.mute.append(values)
        if tag in ("td", "th"):
            self.cells.append("")
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.cells[-1] += data


@pytest.fixture(scope="session")
def page(full) -> str:
    return (full[1] / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def markdown(full) -> str:
    return (full[1] / "report.md").read_text(encoding="utf-8")


def numbers(text: str) -> set[str]:
    return set(re.findall(r"[−+]?\d+\.\d+", text))


def test_a_report_holds_no_second_copy_of_tables(full):
    assert {path.name for path in full[1].iterdir()} == {"index.html", "report.md", "report.json", "figures"}


def test_the_page_is_complete_in_itself(page):
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert "default-src 'none'" in page and len(page) < 8_000_000


def test_ids_are_unique_and_links_lead_somewhere(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert found.mute == []


def test_sections_come_in_their_order(page):
    order = re.findall(r'<(?:section|details class="part") id="(\w+)"', page)
    wanted = "answer pictures results claims colours why tuning training cost method threats provenance"
    assert order == wanted.split()


def test_every_number_of_a_table_is_in_markdown_too(page, markdown):
    found = Page(page)
    told = numbers(" ".join(found.cells))
    assert len(told) > 200 and told <= numbers(markdown.replace("\\", ""))


def test_numbers_of_results_come_from_the_tables(full, page):
    result = load_result(full[0])
    own = " ".join(Page(page).cells)
    for (_, metric), found in result.estimates.items():
        assert f"{found.mean:.{result.metrics[metric].decimals}f}".replace("-", "−") in own


def test_embedded_tables_are_the_files_of_results(full, page):
    links = [unescape(link) for link in re.findall(r'download="arms.csv" href="([^"]*)"', page)]
    assert links and all(link.startswith("data:text/csv") for link in links)
    assert unquote(links[0].split(",", 1)[1]) == (full[0] / "tables" / "arms.csv").read_text()


def test_a_large_table_is_a_link_to_results(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "LARGEST", 10)
    results = build_results(tmp_path / "results", arms=ARMS[:1], images=0, search=False, explained=False)
    out = write_report(results, tmp_path / "reports" / STUDY)
    target = re.search(r'download="curves.csv" href="([^"]*)"', out.read_text()).group(1)
    assert (out.parent / target).resolve() == (results / "tables" / "curves.csv").resolve()


def test_markdown_shows_files_that_exist(full, markdown):
    shown = set(re.findall(r'src="([^"]*)"', markdown))
    assert shown == {f"figures/{path.name}" for path in (full[1] / "figures").iterdir()}


def test_figures_are_whole_files_with_unique_ids(full):
    for path in (full[1] / "figures").glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        ids = [node.get("id") for node in root.iter() if node.get("id")]
        assert root.get("aria-label") and len(ids) == len(set(ids)), path.name
        assert not re.search(r"\d{4}-\d{2}-\d{2}T", path.read_text())


def test_report_json_holds_findings_and_no_tables(full):
    content = json.loads((full[1] / "report.json").read_text())
    assert content["findings"]["recommended"]["arm"] == "tuned" and content["findings"]["outcome"] == "priced"
    assert "tables" not in content and "tuned" in content["headline"]
    assert {row["metric"] for row in content["arms"]} == {row["metric"] for row in content["metrics"]}


def test_the_same_results_give_the_same_bytes(full, tmp_path):
    again = write_report(full[0], tmp_path / "reports" / STUDY).parent
    write_index(tmp_path / "reports")
    files = {path.relative_to(again.parent) for path in again.parent.rglob("*") if path.is_file()}
    assert files == {path.relative_to(full[1].parent) for path in full[1].parent.rglob("*") if path.is_file()}
    for path in files:
        old, new = ((folder / path).read_bytes() for folder in (full[1].parent, again.parent))
        # Links to large tables depend on where the results lie beside the report.
        assert old == new, path


def test_a_new_report_leaves_no_old_figure_and_keeps_foreign_files(tmp_path):
    out = tmp_path / "reports" / STUDY
    few = build_results(tmp_path / "few", arms=ARMS[:1], images=0, search=False, explained=False)
    write_report(build_results(tmp_path / "many"), out)
    before = {path.name for path in (out / "figures").iterdir()}
    write_report(few, out)
    after = {path.name for path in (out / "figures").iterdir()}
    assert after < before
    (out / "figures" / "own.svg").write_text("x")
    with pytest.raises(StudyError, match=r"own\.svg"):
        write_report(few, out)
    assert (out / "figures" / "own.svg").read_text() == "x"


@pytest.mark.parametrize("name", ["<b>bold</b>", "a`b|c", "nan", "1e3", "$x$ {{ y }}", "x" * 70])
def test_awkward_names_of_arms_stay_what_they_are(tmp_path, name):
    arms = [ARMS[0], MadeArm(name, 0.99, 12.5, "huber"), GRAY]
    out = write_report(build_results(tmp_path / "results", arms=arms, images=0, explained=False), tmp_path / "reports")
    cells = [cell.strip() for cell in Page(out.read_text()).cells]
    assert any(cell.startswith(name) for cell in cells)
    assert "<b>bold" not in out.read_text()


@pytest.mark.parametrize(
    "options",
    [
        {"arms": ARMS[:1]},
        {"arms": ARMS[:2], "seeds": 1, "known": False},
        {"arms": [ARMS[0], ARMS[3]], "broken": {("zhang", seed): "diverged" for seed in range(6)}},
        {"arms": ARMS[:3], "broken": {("mse", seed): "missing" for seed in range(6)}},
        {"broken": {(one.name, seed): "missing" for one in ARMS for seed in range(6)}},
        {"images": 4, "pictures": "showcase", "arms": [ARMS[0], ARMS[4], GRAY]},
        {"images": 2, "arms": ARMS[1:3]},
    ],
    ids=["one arm", "one seed", "diverged arm", "no baseline", "nothing", "showcase", "few pictures"],
)
def test_a_report_is_written_whatever_is_missing(tmp_path, options):
    options = {"images": 0, "search": False, "explained": False} | options
    out = write_report(build_results(tmp_path / "results", **options), tmp_path / "reports")
    text = (out.parent / "report.md").read_text()
    assert out.read_text().count("<h1") == 1 and "nan" not in re.sub(r"[\w/]*nan\w+", "", text)


def test_nothing_is_written_when_a_table_is_missing(tmp_path):
    results = build_results(tmp_path / "results", images=0)
    (results / "tables" / "paired.csv").unlink()
    with pytest.raises(StudyError):
        write_report(results, tmp_path / "reports" / STUDY)
    assert not (tmp_path / "reports").exists()


def test_every_section_has_prose_in_both_formats(page, markdown):
    for title in re.findall(r"<h2>([^<]*)</h2>", page):
        assert f"## {title}" in markdown
    assert not re.search(r"\{[{%]|Undefined|Markup\(", page + markdown)


def test_sentences_are_short(markdown):
    """Prose keeps to sentences that a tired reader gets: few are longer than 30 words."""
    prose = [line for line in markdown.splitlines() if line and line[0] not in "|#<*`"]
    sentences = [one for line in prose for one in re.split(r"(?<=[.!?]) ", line) if one]
    long = [one for one in sentences if len(one.split()) > 34]
    assert len(long) < 0.04 * len(sentences), long


def test_index_leads_to_every_report(full, tmp_path):
    index = (full[1].parent / "index.html").read_text()
    assert f'href="{STUDY}/index.html"' in index and "tuned" in index
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "report.json").write_text("{}")
    assert "study report x" in write_index(tmp_path).read_text()  # of another version: it keeps nobody from the index


def test_index_without_reports_and_in_the_order_of_the_studies(full, tmp_path):
    assert write_index(tmp_path).read_text().count("<h1") == 1
    content = json.loads((full[1] / "report.json").read_text())
    for name in ("made_up_double", "other"):
        Path(tmp_path / name).mkdir()
        own = content | {
            "study": name,
            "title": f"title of {name}",
            "lengths": {} if name == "other" else content["lengths"],
        }
        (tmp_path / name / "report.json").write_text(json.dumps(own))
    (tmp_path / STUDY).mkdir()
    (tmp_path / STUDY / "report.json").write_text(json.dumps(content))
    text = write_index(tmp_path, ["other", STUDY]).read_text()
    places = [text.index(title) for title in ("title of other", content["title"], "title of made_up_double")]
    assert places == sorted(places)
