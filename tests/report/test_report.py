"""The whole report: one truth in HTML, Markdown, JSON and CSV; escaped, complete in itself, the same every time."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.errors import StudyError
from study.report import write_index, write_report
from study.report.reading import load_result
from tests.report.synthetic import ARMS, METRICS, build_results

FEW = ARMS[:1] + ARMS[2:3] + ARMS[6:8]
HOSTILE = "<img src=x onerror=alert(1)>\"'&`|*_{{7*7}}$"
SCORE = re.compile(r"(\S [a-z]+)?(−?[\d.]+)\[(−?[\d.]+), (−?[\d.]+)\]")
TWO_KINDS = {"car": [(50, 20), (-40, -10)], "roof": [(30, 26)]}
VOID = {"img", "input", "meta", "link", "wbr", "br"}


class Page(HTMLParser):
    """Elements with their attributes and text, as a browser would read them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "above": [one["tag"] for one in self.open]}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def find(self, tag: str, **attrs: str) -> list[dict]:
        return [
            one
            for one in self.elements
            if one["tag"] == tag and all(one["attrs"].get(k.replace("_", "-")) == v for k, v in attrs.items())
        ]


@pytest.fixture
def make_report(make_results, tmp_path):
    def make(**options) -> tuple[Path, Path]:
        results = make_results(**options)
        return results, write_report(results, tmp_path / "reports" / "it").parent

    return make


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> tuple[Path, Path]:
    """Results of a few arms and their report, for tests that only read."""
    folder = tmp_path_factory.mktemp("usual")
    results = build_results(folder / "results", arms=FEW, images=3)
    return results, write_report(results, folder / "reports" / "it").parent


def rows_of(page: Page, kind: str) -> list[list[dict]]:
    """Cells of the body rows of the table with a class."""
    rows: list[list[dict]] = []
    inside = False
    for element in page.elements:
        if element["tag"] == "table":
            inside = kind in (element["attrs"].get("class") or "").split()
        elif inside and element["tag"] == "tr" and "tbody" in element["above"]:
            rows.append([])
        elif inside and element["tag"] in ("td", "th") and "tbody" in element["above"]:
            rows[-1].append(element)
    return rows


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("\u202f", ""))


def test_every_mean_and_interval_in_the_page_is_that_of_the_table(usual):
    results, out = usual
    table = pd.read_csv(results / "tables" / "arms.csv").set_index(["arm", "metric"])
    page, seen = Page((out / "index.html").read_text()), 0
    for arm, row in zip(FEW, rows_of(page, "results"), strict=True):
        for cell in row:
            if "data-value" not in cell["attrs"]:
                continue
            truth = table.loc[(arm[0], cell["attrs"]["data-metric"])]
            assert float(cell["attrs"]["data-value"]) == truth["mean"]
            shown, low, high = map(number, SCORE.fullmatch(cell["text"]).groups()[1:])
            digits = len(cell["text"].split("[")[0].partition(".")[2])
            assert (shown, low, high) == pytest.approx(tuple(truth[["mean", "low", "high"]]), abs=0.51 * 10**-digits)
            seen += 1
    assert seen == len(table)


def test_every_verdict_in_the_page_is_that_of_the_table(usual):
    results, out = usual
    table = pd.read_csv(results / "tables" / "paired.csv").set_index(["arm", "metric"])
    page = Page((out / "index.html").read_text())
    for arm, row in zip(FEW, rows_of(page, "results"), strict=True):
        for cell in row:
            key = (arm[0], cell["attrs"].get("data-metric"))
            words = (
                set(re.findall(r"better|worse|higher|lower|equivalent|undecided", cell["text"])) if key[1] else set()
            )
            assert words == ({table.loc[key, "verdict"]} if key in table.index else set())
    listed = rows_of(page, "differences")
    assert len(listed) == len(table)
    for row in listed:
        arm = row[1]["attrs"]["data-sort"]
        truth = table.loc[(arm, row[0]["attrs"]["data-sort"])]
        assert [float(row[i]["attrs"]["data-sort"]) for i in (2, 4, 5, 6, 7, 8)] == truth[
            ["delta", "p_t_holm", "p", "p_holm", "p_min", "seeds"]
        ].tolist()
        assert row[9]["attrs"]["data-sort"] == truth["verdict"]


def test_markdown_tells_the_same_numbers_and_verdicts_as_the_page(usual):
    _, out = usual
    page = Page((out / "index.html").read_text())
    text = (out / "report.md").read_text().replace("\\", "").replace("\u00a0", " ")
    for arm, row in zip(FEW, rows_of(page, "results"), strict=True):
        lines = [line for line in text.splitlines() if line.startswith(f"| `{arm[0]}` |")]
        for cell in row:
            if "data-value" in cell["attrs"]:
                verdict, mean, low, high = SCORE.fullmatch(cell["text"]).groups()
                told = "<br>".join(part for part in (f"**{mean}**", f"[{low}, {high}]", verdict) if part)
                assert any(told in line for line in lines)
    for line in json.loads((out / "report.json").read_text())["answer"]:
        for part in (line["headline"], line["detail"]):
            part = part.replace("\u00a0", " ")
            assert part in text.replace("`", "").replace("**", "")
            assert part in " ".join(one["text"] for one in page.find("dd")).replace("\u00a0", " ")


def test_json_holds_the_tables_exactly(usual):
    results, out = usual
    content = json.loads((out / "report.json").read_text())
    for name in ("arms", "paired", "kinds", "cost", "cells"):
        with open(results / "tables" / f"{name}.csv", newline="") as file:
            truth = list(csv.DictReader(file))
        for mine, theirs in zip(content["tables"][name], truth, strict=True):
            assert mine.keys() == theirs.keys()
            for key, value in mine.items():
                assert (
                    value == float(theirs[key]) if isinstance(value, int | float) else (value or "") == theirs[key]
                ), key
    assert content["facts"] == json.loads((results / "tables" / "study.json").read_text())
    assert content["tables"]["metrics"][0]["high"] is None  # infinite


def test_the_tables_can_be_taken_out_of_the_page_as_they_are(usual):
    results, out = usual
    page = Page((out / "index.html").read_text())
    for name in ("arms", "paired", "kinds", "curves", "cells", "cost", "metrics"):
        (link,) = page.find("a", download=f"made_up_world-{name}.csv")
        text = base64.b64decode(link["attrs"]["href"].split("base64,")[1]).decode()
        pd.testing.assert_frame_equal(
            pd.read_csv(io.StringIO(text)), pd.read_csv(results / "tables" / f"{name}.csv"), check_exact=True
        )


def test_the_same_results_give_the_same_bytes_in_any_process(everything, tmp_path):
    results, out = everything
    again = tmp_path / "again"
    program = "from pathlib import Path; from study.report import write_report; "
    program += f"write_report(Path({str(results)!r}), Path({str(again)!r}))"
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LOKY_MAX_CPU_COUNT": "3"},
    )
    names = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in names:
        assert (out / name).read_bytes() == (again / name).read_bytes(), name


def test_nothing_is_fetched_and_only_the_one_script_may_run(usual):
    _, out = usual
    text = (out / "index.html").read_text()
    page = Page(text)
    for element in page.elements:
        for name in ("src", "href", "srcset", "poster", "action", "data"):
            value = element["attrs"].get(name)
            assert value is None or value.startswith(("#", "data:", "tables/")), value
    assert not re.search(r"@import|url\((?!#)", text)
    (script,) = page.find("script")
    policy = page.find("meta", http_equiv="Content-Security-Policy")[0]["attrs"]["content"]
    digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert not any(name.startswith("on") for element in page.elements for name in element["attrs"])


def test_names_from_files_are_never_markup(make_report):
    arms = (ARMS[0], (HOSTILE, "anti_average", {HOSTILE: 1.0}, 0.6, 11.6, 1.1))
    _, out = make_report(
        arms=arms,
        title=HOSTILE,
        kinds={HOSTILE: [(10, 10), (-20, 40)]},
        image_name=HOSTILE + "{}",
        images=2,
        study="s<b>&",
    )
    page = Page((out / "index.html").read_text())
    assert not [one for one in page.find("img") if one["attrs"].get("src") == "x"]
    assert page.find("title")[0]["text"] == HOSTILE and page.find("h1")[0]["text"] == HOSTILE
    assert HOSTILE in rows_of(page, "results")[1][0]["text"]
    assert any(HOSTILE in one["attrs"].get("alt", "") for one in page.find("img"))
    assert any(HOSTILE in one["text"] for one in page.find("option"))
    assert not page.find("b", **{"class": HOSTILE}) and not [one for one in page.elements if one["tag"] == "s<b"]
    text = (out / "report.md").read_text()
    fenced = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert "<img src=x" not in fenced
    index = Page(write_index(out.parent).read_text())
    assert next(one["text"] for one in index.find("h2")) == HOSTILE
    assert not index.find("img")


@pytest.mark.parametrize(
    ("options", "says", "lacks"),
    [
        ({"seeds": 1}, ["1 seed", "as a hint"], []),
        ({"arms": ARMS[:1]}, ["1 arm", "Nothing is compared with the baseline"], ["differences"]),
        ({"broken": {("strong", s): "diverged" for s in range(5)}}, ["5 diverged", "5 of 20 cells diverged"], []),
        ({"broken": {("mse", s): "missing" for s in range(5)}}, ["5 missing"], ["differences"]),
        ({"broken": {(a[0], s): "missing" for a in FEW for s in range(5)}}, ["Nothing was measured"],
         ["results", "differences", "pictures", "colour", "training", "cost"]),
        ({"kinds": None, "images": 0, "lpips": True}, ["All 20 cells finished"], ["pictures"]),
    ],
    ids=["one seed", "one arm", "diverged arm", "no baseline", "nothing", "no extras"],
)  # fmt: skip
def test_a_poor_study_still_gets_a_sound_report(make_report, options, says, lacks):
    _, out = make_report(**{"arms": FEW, "images": 1, "kinds": TWO_KINDS, **options})
    text = (out / "index.html").read_text()
    page, markdown = Page(text), (out / "report.md").read_text()
    sections = [one["attrs"]["id"] for one in page.find("section")]
    assert not set(lacks) & set(sections)
    links = [one["attrs"]["href"] for one in page.find("a") if one["attrs"]["href"].startswith("#")]
    assert {link[1:] for link in links} == set(sections)
    for words in says:
        assert words in text and words in markdown
    visible = re.sub(r"<script>.*?</script>|<style>.*?</style>|data:[^\"]*", "", text, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\bNone\b|\bundefined\b", visible + markdown)
    json.loads((out / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_an_arm_whose_every_seed_diverged_keeps_its_row_and_says_why(make_report):
    _, out = make_report(
        arms=FEW, broken={("strong", s): "diverged" for s in range(5)} | {("classification", 2): "missing"}
    )
    rows = {row[0]["attrs"]["data-sort"]: row for row in rows_of(Page((out / "index.html").read_text()), "results")}
    assert rows["strong"][1]["text"] == "5 diverged" and rows["strong"][-1]["text"] == "0 of 5"
    assert rows["classification"][-1]["text"] == "4 of 5" and rows["mse"][-1]["text"] == "5"


def test_study_pictures_that_may_not_be_shown_are_not_in_any_file(make_report):
    results, out = make_report(arms=FEW[:2], pictures="showcase", images=6, image_name="picture {}")
    result = load_result(results)
    with np.load(results / "predictions" / "mse.npz") as archive:
        shown, kept = set(archive["showcase_names"].tolist()), set(archive["names"].tolist())
    assert set(result.pictures["mse"].names) == shown
    text = (out / "index.html").read_text() + (out / "report.md").read_text()
    assert all(name in text for name in shown) and not any(name in text for name in kept - shown)
    assert "may not be shown" in text


def test_a_thousand_cells_stay_below_the_limit(make_report):
    arms = tuple((f"arm_number_{i:02d}", "mse", {}, 0.4 + i / 20, 11 + i / 5, 1 + i / 10) for i in range(12))
    _, out = make_report(arms=arms, seeds=84, images=2, kinds=None)
    text = (out / "index.html").read_text()
    assert len(text.encode()) < 8_000_000
    assert len(rows_of(Page(text), "cells")) == 12 * 84


def test_every_cell_stands_with_its_command(usual):
    results, out = usual
    with open(results / "tables" / "cells.csv", newline="") as file:
        commands = [row["command"] for row in csv.DictReader(file)]
    assert [row[-1]["text"] for row in rows_of(Page((out / "index.html").read_text()), "cells")] == commands
    assert all(command in (out / "report.md").read_text() for command in commands)


def test_every_measured_metric_has_its_card_one_click_away(usual):
    _, out = usual
    page = Page((out / "index.html").read_text())
    for name, *_, says, weakness, _, _, _ in METRICS:
        if name != "lpips":
            assert page.find("button", popovertarget=f"card-{name}")
            (card,) = page.find("div", id=f"card-{name}")
            assert says in card["text"] and weakness in card["text"]
        assert (
            len([one for one in page.find("div") if one["attrs"].get("class") == "card" and says in one["text"]]) >= 1
        )


def test_figures_of_markdown_exist_and_old_ones_are_gone(make_report):
    results, out = make_report(arms=FEW[:2], kinds=TWO_KINDS, images=1)
    (out / "figures" / "old.svg").write_text("x")
    (out / "mine.txt").write_text("kept")
    write_report(results, out)
    used = set(re.findall(r'src="figures/([^"]+)"', (out / "report.md").read_text()))
    assert used == {path.name for path in (out / "figures").iterdir()}
    assert (out / "mine.txt").read_text() == "kept"


def test_the_index_links_to_every_report_with_its_headline_and_is_the_same_again(make_results, tmp_path):
    reports = tmp_path / "reports"
    for name in ("zebra", "ant"):
        write_report(
            make_results(study=name, title=f"About {name}", arms=FEW[:2], images=0, kinds=None), reports / name
        )
    page = write_index(reports)
    first = page.read_bytes()
    assert write_index(reports).read_bytes() == first
    found = Page(first.decode())
    links = [one["attrs"]["href"] for one in found.find("a")]
    assert links[:2] == ["ant/index.html", "zebra/index.html"]
    assert {link.split("#")[0] for link in links} == set(links[:2])
    headline = json.loads((reports / "ant" / "report.json").read_text())["headline"]
    assert headline in " ".join(one["text"] for one in found.find("p"))


def test_the_index_follows_the_given_order_and_compares_the_arms_that_studies_share(make_results, tmp_path):
    for name, arms in (("ant", FEW[:2]), ("bee", FEW), ("cat", FEW[:2])):
        write_report(make_results(study=name, arms=arms, images=0, kinds=None), tmp_path / name)
    found = Page(write_index(tmp_path, ["cat", "unknown", "bee"]).read_text())
    assert [one["text"] for one in found.find("code")][:3] == ["cat", "bee", "ant"]
    named = {row["text"] for row in found.find("th")}
    recommended = json.loads((tmp_path / "bee" / "report.json").read_text())["recommended"]
    assert {FEW[1][0], recommended} <= named
    assert len({FEW[2][0], FEW[3][0]} - {recommended} - named) == 1  # in one study alone, and not what it recommends
    assert "No loss here restores the truth’s chroma" in "".join(one["text"] for one in found.find("b"))


def test_a_report_needs_tables_and_no_torch(usual, tmp_path):
    results, _ = usual
    code = (
        "import sys; from pathlib import Path; from study.report import write_report;"
        "write_report(Path(sys.argv[1]), Path(sys.argv[2])); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(results), str(tmp_path / "out")]).returncode == 0


def test_an_index_without_reports_says_what_to_do(tmp_path):
    assert "study report STUDY" in write_index(tmp_path).read_text()


def test_a_broken_report_is_named_by_the_index(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "report.json").write_text("[]")
    with pytest.raises(StudyError, match="run `study report x` again"):
        write_index(tmp_path)


def test_the_cost_of_a_step_has_its_middle_half_and_its_rounds_are_told(usual):
    results, out = usual
    row = pd.read_csv(results / "tables" / "cost.csv").set_index("arm").iloc[1]
    told = f"{row.step_ratio:.2f} [{row.step_low:.2f}, {row.step_high:.2f}]"
    assert told in (out / "report.md").read_text().replace("\\", "")
    assert told.split(" ", 1)[1] in " ".join(one["text"] for one in Page((out / "index.html").read_text()).find("td"))
    for name in ("report.md", "index.html"):
        told = "The losses took turns on one thread of a made-up processor, 6 rounds in each of 4 processes"
        assert told in (out / name).read_text()


def test_steps_that_are_not_timed_leave_a_hole_and_the_command_that_fills_it(make_results, tmp_path):
    results = make_results(arms=FEW)
    cost = pd.read_csv(results / "tables" / "cost.csv")
    cost[["step_ms", "images_per_s", "step_ratio", "step_low", "step_high"]] = np.nan
    cost.to_csv(results / "tables" / "cost.csv", index=False)
    facts = json.loads((results / "tables" / "study.json").read_text())
    facts["timing"] = {"processes": 0, "rounds": 0, "cpu": None, "device": None}
    (results / "tables" / "study.json").write_text(json.dumps(facts))
    out = write_report(results, tmp_path / "report").parent
    assert "Steps are not timed here: `study time made_up_world` does that." in (out / "report.md").read_text()
    page = Page((out / "index.html").read_text())
    said = " ".join(one["text"] for one in page.find("section", id="cost"))
    assert "study time made_up_world" in said
    assert "nan" not in said.lower()
    assert "A training step takes" not in (out / "report.md").read_text()


def test_arms_without_times_beside_others_are_named(make_results, tmp_path):
    results = make_results(arms=FEW)
    cost = pd.read_csv(results / "tables" / "cost.csv")
    untimed = cost["arm"].isin([FEW[1][0], FEW[2][0]])
    cost.loc[untimed, ["step_ms", "images_per_s", "step_ratio", "step_low", "step_high"]] = np.nan
    cost.to_csv(results / "tables" / "cost.csv", index=False)
    out = write_report(results, tmp_path / "report").parent
    told = "Without times, as they have been trained anew since or are not finite: anti_average, strong"
    assert told in " ".join(one["text"] for one in Page((out / "index.html").read_text()).find("section", id="cost"))
    assert "`anti_average`, `strong` (`study time made_up_world` tells)." in (out / "report.md").read_text().replace(
        "\\", ""
    )
