"""The page that compares the studies: their main numbers and the verdicts on every claim, side by side."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.report.result import Metric
from study.report.style import interval, number

MAIN = ("chroma_ratio", "ab_rmse", "ciede2000", "hue_diversity_gap")


@dataclass(frozen=True)
class Cell:
    """One arm (or claim) in one study: empty texts where it was not measured."""

    text: str = ""
    range: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Length:
    """The study that another one trains longer or shorter, and the pictures that both train on, counted each time."""

    of: str
    images: int
    its_images: int


@dataclass(frozen=True)
class Comparison:
    """One quantity: a row for each arm (or claim), a cell for each study."""

    title: str
    goal: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def read_studies(reports: Path, order: Sequence[str] = ()) -> list[dict[str, Any]]:
    """report.json of every study below `reports`, with the folder it lies in: first those of `order`, then by name."""
    studies = [_read(path) for path in sorted(Path(reports).glob("*/report.json"))]
    places = {name: place for place, name in enumerate(order)}
    return sorted(studies, key=lambda study: places.get(study["study"], len(places)))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        needed = {key: content[key] for key in ("study", "title", "headline", "in_short", "tables")}
        rest = {"facts": content.get("facts") or {}, "cost": content.get("cost", "")}
        rest |= {"verdict": content.get("verdict", ""), "recommended": content.get("recommended")}
        return {"folder": path.parent.name} | rest | needed
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} is no report ({error!r}): run `study report {path.parent.name}` again") from error


def other_lengths(studies: list[dict[str, Any]]) -> dict[str, Length]:
    """The studies that train one shown before them longer or shorter, by its table lengths.csv. They say how far
    training matters; which loss to take is the other's to say."""
    found: dict[str, Length] = {}
    for study in studies:
        images = {row["study"]: row["images"] for row in study["tables"].get("lengths", [])}
        own = study["study"]
        if own in images and own not in found:
            found = {name: Length(own, many, images[own]) for name, many in images.items() if name != own} | found
    return found


def in_a_word(studies: list[dict[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """Each verdict on whether a loss restores the chroma, and the studies that come to it; without `other_lengths`."""
    found: dict[str, list[str]] = {}
    lengths = other_lengths(studies)
    for study in studies:
        if study["verdict"] and study["study"] not in lengths:
            found.setdefault(study["verdict"], []).append(study["study"])
    return [(verdict, tuple(names)) for verdict, names in found.items()]


def main_numbers(studies: list[dict[str, Any]]) -> list[Comparison]:
    """The main metrics, arm by arm and study by study; metrics that no study has are left out.

    Where studies share arms, those that at least two of them have are shown, and those that one recommends: the page is
    for comparing.
    """
    return [found for metric in MAIN if (found := _numbers(studies, metric)).rows]


def _numbers(studies: list[dict[str, Any]], metric: str) -> Comparison:
    columns, card = [], None
    for study in studies:
        tables = study["tables"]
        for row in tables.get("metrics", []):
            if row["metric"] == metric and card is None:
                card = _card(row)
        baseline = study["facts"].get("baseline")
        verdicts = {
            row["arm"]: row["verdict"]
            for row in tables.get("paired", [])
            if row["metric"] == metric and row["baseline"] == baseline
        }
        means = {
            row["arm"]: row for row in tables.get("arms", []) if row["metric"] == metric and row["mean"] is not None
        }
        columns.append({arm: (row, verdicts.get(arm, "")) for arm, row in means.items()})
    counts = Counter(arm for column in columns for arm in column)
    shared = [arm for arm, studies in counts.items() if studies > 1]
    recommended = {study["recommended"] for study in studies}
    arms = [arm for arm in counts if arm in shared or arm in recommended] if shared else list(counts)
    rows = [(arm, tuple(_cell(column.get(arm), card) for column in columns)) for arm in arms] if card else []
    label = card.label if card else metric
    return Comparison(label, card.direction if card else "", tuple(rows))


def _card(row: dict[str, Any]) -> Metric:
    def value(key: str) -> float:
        return math.nan if row[key] is None else float(row[key])

    better, target = row["better"] or None, row["target"]
    return Metric(row["metric"], row["unit"], value("low"), value("high"), better, target, value("margin"),
                  row["says"], row["weakness"])  # fmt: skip


def _cell(found: tuple[dict[str, Any], str] | None, card: Metric) -> Cell:
    if found is None:
        return Cell()
    row, verdict = found
    low, high = (math.nan if row[end] is None else row[end] for end in ("low", "high"))
    return Cell(number(row["mean"], card.decimals), interval(low, high, card.decimals), verdict)


def claims(studies: list[dict[str, Any]]) -> Comparison:
    """The verdict on every claim in every study."""
    columns = [
        {f"{row.get('number', '')} {row['says']}".strip(): row["verdict"] for row in study["tables"].get("claims", [])}
        for study in studies
    ]
    says = list(dict.fromkeys(text for column in columns for text in column))
    rows = tuple((text, tuple(Cell(verdict=column.get(text, "")) for column in columns)) for text in says)
    return Comparison("Claims", "", rows)
