"""The search for weights: recommended settings, their honest scores and the budget, from results/<study>/search/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from study.report import sheet as s
from study.report.looks import BASELINE_COLOR, COLORS
from study.report.result import Arm, Search, StudyResult
from study.report.style import duration, listed

OBJECTIVES = {
    "fidelity": "ab RMSE",
    "vividness": "distance to the truth’s vividness",
    "diversity": "distance to the truth’s hue diversity",
}
PARTS = {"w_": "", "o_": "option ", "d_": "decode ", "t_": ""}


def families(search: Search) -> list[str]:
    """The families that were searched, in the order of their first trial."""
    return list(dict.fromkeys(search.trials["family"]))


def family_colors(result: StudyResult) -> dict[str, str]:
    """The colour of each family: that of the arm of the same name or of the same loss, where there is one."""
    search, used, found = result.search, set(), {}
    for family in families(search) if search else []:
        own = result.looks.get(family)
        color = own.color if own else None
        if color is None or color in used:
            color = next((c for c in (*COLORS, BASELINE_COLOR) if c not in used), BASELINE_COLOR)
        used.add(color)
        found[family] = color
    return found


def completed(search: Search) -> pd.DataFrame:
    """Trials with numbers for all three objectives."""
    trials = search.trials
    return trials[trials[["fidelity", "vividness", "diversity"]].notna().all(axis=1)]


def recommended(search: Search) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(family, choice, settings) of every point in best.yaml."""
    for family, choices in (search.best.get("families") or {}).items():
        for choice, settings in (choices or {}).items():
            if isinstance(settings, dict):
                yield str(family), str(choice), settings


def settings_in_words(settings: dict[str, Any]) -> str:
    """Weights, options, decoding and learning rate of a point, in one line."""
    said = [f"{name} {amount_of(v)}" for name, v in (settings.get("weights") or {}).items()]
    said += [f"{name} {amount_of(v)}" for name, v in (settings.get("options") or {}).items() if v is not None]
    said += [f"decode {name} {amount_of(v)}" for name, v in (settings.get("decode") or {}).items()]
    said += [f"{name.replace('_', ' ')} {amount_of(v)}" for name, v in (settings.get("train") or {}).items() if v]
    return ", ".join(said)


def amount_of(value: Any) -> str:
    """A setting with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def weights_in_words(arm: Arm) -> str:
    """Weights of an arm, and its learning rate when it has one of its own."""
    said = [f"{term} {amount_of(float(value))}" for term, value in arm.weights.items()]
    said += [f"{name} = {value}" for name, value in arm.options.items() if value is not None]
    if arm.loss == "classification":
        said += [f"decode {name} {amount_of(value)}" for name, value in arm.decode.items()]
    said += [f"{name.replace('_', ' ')} {amount_of(value)}" for name, value in arm.train.items()]
    return ", ".join(said)


def sentences(search: Search) -> list[str]:
    """What the search recommends, in its own words."""
    told = search.facts.get("sentences", search.facts.get("sentence", []))
    if isinstance(told, dict):
        told = list(told.values())
    return [str(one) for one in ([told] if isinstance(told, str) else told) if one]


def of_family(search: Search, family: str, key: str) -> Any:
    """What search.json says of one family; None when it says nothing."""
    return (search.facts.get("families") or {}).get(family, {}).get(key)


def budget(result: StudyResult) -> str:
    """How much every family was allowed, what became of it, and how long it took."""
    search, allowed = result.search, result.search.facts.get("budget") or {}
    said = str(allowed.get("says") or "")
    per_family = search.trials.groupby("family", sort=False).size()
    if not said:
        said = "Candidates: " + listed(f"{number} of {family}" for family, number in per_family.items())
    stopped = search.trials["stopped"].ne("").sum() if "stopped" in search.trials else 0
    diverged = search.trials["state"].eq("diverged").sum()
    became = [f"{stopped} of all {len(search.trials)} candidates were dominated early and stopped"] if stopped else []
    became += [f"{diverged} diverged"] if diverged else []
    said = said[:1].upper() + said[1:].rstrip(".") + (f"; {listed(became)}" if became else "")
    seconds = search.facts.get("training_seconds")
    said += f". Its networks trained for {duration(float(seconds))}." if isinstance(seconds, int | float) else "."
    return said + " Test pictures were not seen by the search."


def choices_sheet(result: StudyResult) -> s.Sheet:
    """The recommended points of every family; points with the same settings share a row."""
    merged: dict[tuple[str, str], list[str]] = {}
    for family, choice, settings in recommended(result.search):
        merged.setdefault((family, settings_in_words(settings)), []).append(choice)
    rows = [
        [s.code(family), s.words(", ".join(sorted(choices, key=lambda c: c != "recommended"))), s.words(settings)]
        for (family, settings), choices in merged.items()
    ]
    head = [s.Column("family", words=True), s.Column("point", words=True), s.Column("settings", words=True)]
    return s.sheet("recommended", "Recommended settings", head, rows, "trials")


def parameters(trials: pd.DataFrame) -> list[str]:
    """Columns of settings that vary in these trials."""
    return [
        name
        for name in trials.columns
        if name[:2] in PARTS and pd.api.types.is_numeric_dtype(trials[name]) and trials[name].nunique() > 1
    ]


def parameter_label(column: str) -> str:
    """A column of trials.csv as people read it."""
    name = column[2:] if column[:2] in PARTS else column
    return PARTS.get(column[:2], "") + name.replace("_", " ") + (" weight" if column.startswith("w_") else "")
