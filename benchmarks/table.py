"""The benchmark's tables: text, CSV and Markdown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar, get_type_hints

from benchmarks.measure import Bound, Row

T = TypeVar("T", Row, Bound)

INTRODUCTION = """\
# Benchmarks

Written by `make bench`. Each row is our function beside what a user would pick instead, in one run on one machine:
a ratio above 1 means that ours is faster, or smaller; the goal is met when the ratio is at least the goal. That both
sides compute the same is checked before anything is timed; the largest difference found stands in `results.csv`.

Times are medians; a ratio is the median over interleaved pairs, with quartiles. On a graphics card a time is that of
calls in a row, as in a training, unless a row says otherwise: of one call by itself the most part may be threads of
autograd that wake up. Memory is the peak of what torch
allocates during a call above its inputs, results included, in MB of a million bytes. Where a goal is an
upper limit, the ratio is turned round: limit / ours. One row per number of threads; numpy, scikit-image and the ball
tree use one in any case, and are not compared on a graphics card, which they cannot use. Rows of a graphics card stay
when `make bench` runs on a machine without it.
"""


def text(rows: Sequence[Row]) -> str:
    """The rows for a terminal."""
    head = ("what", "against", "ratio", "goal", "met", "ours", "theirs", "device")
    lines = [head, *(_cells(row, "{ours:.3g} {unit}", "{theirs:.3g} {unit}") for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def write(rows: Sequence[Row], bounds: Sequence[Bound], folder: Path) -> None:
    """results.csv, bounds.csv and results.md in `folder`; rows there of devices that are not in `rows` are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = {row.device for row in rows}
    rows = _processor_first([*rows, *(row for row in read(folder / "results.csv", Row) if row.device not in measured)])
    kept = (bound for bound in read(folder / "bounds.csv", Bound) if bound.device not in measured)
    bounds = _processor_first([*bounds, *kept])
    _write_csv(folder / "results.csv", Row, rows)
    _write_csv(folder / "bounds.csv", Bound, bounds)
    (folder / "results.md").write_text(markdown(rows, bounds), encoding="utf-8")


def read(path: Path, kind: type[T]) -> list[T]:
    """What `write` wrote; nothing if there is no such file or its columns are those of another version."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        types = get_type_hints(kind)
        if reader.fieldnames != [field.name for field in fields(kind)]:
            return []
        return [kind(**{name: types[name](value) for name, value in row.items()}) for row in reader]


def markdown(rows: Sequence[Row], bounds: Sequence[Bound]) -> str:
    """The rows as a Markdown table and, for every goal that was missed, what bounds it."""
    lines = [INTRODUCTION]
    lines += [f"{machine}; {version}.\n" for machine, version in dict.fromkeys((r.machine, r.version) for r in rows)]
    lines += [
        "| what | against | ratio | quartiles | goal | met | ours | theirs | device |",
        "|---|---|---:|---|---:|---|---:|---:|---|",
    ]
    for row in rows:
        what, against, ratio, goal, met, ours, theirs, device = _cells(row, "{ours:.3g} {unit}", "{theirs:.3g} {unit}")
        quartiles = f"{row.ratio_low:.3g} .. {row.ratio_high:.3g}"
        lines.append("| " + " | ".join((what, against, ratio, quartiles, goal, met, ours, theirs, device)) + " |")
    missed = {_key(row) for row in rows if not row.met}
    shown = [bound for bound in bounds if _key(bound) in missed]
    if missed:
        lines += ["", "## What bounds it", ""]
        lines += [
            "For every goal that was missed: what ours cannot do without, measured by itself, or another way to it.",
            "The best ratio would be reached if that were all that is done. Where it lies below the ratio reached, the",
            "other way is slower than ours, or the machine was slower in that moment.",
            "",
        ]
        lines += [
            "| what | against | goal | what bounds it | takes | ours | best ratio | device |",
            "|---|---|---:|---|---:|---:|---:|---|",
        ]
        for bound in shown:
            cells = (bound.what, bound.against, f"{bound.goal:.4g}", bound.bound, f"{bound.value:.3g} {bound.unit}")
            cells += (f"{bound.ours:.3g} {bound.unit}", f"{bound.best_ratio:.3g}", _device(bound))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _processor_first(lines: Sequence[T]) -> list[T]:
    return sorted(lines, key=lambda line: line.device != "cpu")


def _cells(row: Row, ours: str, theirs: str) -> tuple[str, ...]:
    values = asdict(row)
    numbers = (f"{row.ratio:.3g}", f"{row.goal:.4g}", "yes" if row.met else "no")
    return row.what, row.against, *numbers, ours.format(**values), theirs.format(**values), _device(row)


def _device(row: Row | Bound) -> str:
    return f"{row.device}, {row.threads} thread{'s' if row.threads > 1 else ''}" if row.device == "cpu" else row.device


def _key(row: Row | Bound) -> tuple[str, str, str, int]:
    return row.what, row.against, row.device, row.threads


def _write_csv(path: Path, kind: type[Row | Bound], rows: Sequence[Row | Bound]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [field.name for field in fields(kind)]
        writer.writerow(names)
        for row in rows:
            values = (getattr(row, name) for name in names)
            writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
