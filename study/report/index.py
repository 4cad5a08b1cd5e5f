"""The page that compares the studies: their answers, main numbers and verdicts on every claim, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from study.report.format import interval, number
from study.report.render import asset, environment, script_hash, style_sheet
from study.report.result import AMOUNT, ERROR
from study.report.table import Cell, Column, Table, badge, table, words

MAIN = (AMOUNT, ERROR, "ciede2000")
_KEYS = ("study", "title", "headline", "answer", "arms", "metrics", "claims", "lengths", "findings")


def read_studies(reports: Path, order: Sequence[str] = ()) -> tuple[list[dict[str, Any]], list[str]]:
    """report.json of every study below `reports`, with its folder: first those of `order`, then by name.

    Beside them the folders whose report.json is damaged or of another version: they keep nobody from the index.
    """
    studies, unread = [], []
    for path in sorted(Path(reports).glob("*/report.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            studies.append({key: content[key] for key in _KEYS} | {"folder": path.parent.name})
        except (OSError, ValueError, KeyError, TypeError):
            unread.append(path.parent.name)
    places = {name: place for place, name in enumerate(order)}
    return sorted(studies, key=lambda study: places.get(study["study"], len(places))), unread


def length_variants(studies: list[dict[str, Any]]) -> dict[str, str]:
    """Study -> the study shown before it that it trains longer or shorter."""
    found: dict[str, str] = {}
    for study in studies:
        if study["study"] not in found:
            found |= {name: study["study"] for name in study["lengths"] if name not in (study["study"], *found)}
    return found


def numbers_table(studies: list[dict[str, Any]], metric: str) -> Table:
    """One metric, arm by arm and study by study; where studies share arms, the shared and the recommended ones."""
    known = [{row["arm"]: row for row in study["arms"] if row["metric"] == metric} for study in studies]
    card = next((card for study in studies for card in study["metrics"] if card["metric"] == metric), None)
    best = {(study["findings"]["recommended"] or {}).get("arm") for study in studies}
    arms = list(dict.fromkeys(arm for own in known for arm in own))
    if shared := [arm for arm in arms if sum(arm in own for own in known) > 1]:
        arms = [arm for arm in arms if arm in shared or arm in best]
    rows = [[Cell(arm, arm, "code"), *(_cell(own.get(arm), card) for own in known)] for arm in arms] if card else []
    head = [Column("arm", words=True), *(Column(study["study"]) for study in studies)]
    return table(f"numbers_{metric}", card["label"] if card else metric, head, rows)


def _cell(row: dict[str, Any] | None, card: dict[str, Any]) -> Cell:
    if row is None:
        return Cell("–", math.nan)
    low, high = (math.nan if row[end] is None else row[end] for end in ("low", "high"))
    decimals = card["decimals"]
    return Cell(
        number(row["mean"], decimals), row["mean"], "number", interval(low, high, decimals), row["verdict"] or ""
    )


def claims_table(studies: list[dict[str, Any]]) -> Table:
    """The verdict on every claim in every study."""
    known = [{f"{row['number']} {row['says']}".strip(): row["verdict"] for row in study["claims"]} for study in studies]
    rows = [[words(says), *(badge(own.get(says, "")) for own in known)]
            for says in dict.fromkeys(says for own in known for says in own)]  # fmt: skip
    head = [Column("claim", words=True), *(Column(study["study"], words=True) for study in studies)]
    return table("claims", "Claims, study by study", head, rows)


def render_index(reports: Path, order: Sequence[str] = ()) -> str:
    """The page as text."""
    (studies, unread), script = read_studies(reports, order), asset("page.js")
    variants = length_variants(studies)
    return environment().get_template("index.html.j2").render(
        studies=[study for study in studies if study["study"] not in variants], unread=unread,
        variants=[(study, variants[study["study"]]) for study in studies if study["study"] in variants],
        numbers=[made for metric in MAIN if (made := numbers_table(studies, metric))], claims=claims_table(studies),
        style=style_sheet(), script=Markup(script), script_hash=script_hash(script),
    )  # fmt: skip
