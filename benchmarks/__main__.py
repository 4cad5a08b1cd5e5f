"""python -m benchmarks [--only NAME] [--device cpu|cuda] [--quick] [--output FOLDER]"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks import table
from benchmarks.measure import Bound, Comparison, DisagreementError, Row, measure

SUBJECTS = ("color", "bins", "losses", "metrics")
SECONDS = 2.0  # for the pairs of one timing


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and write the files; 1 and one line on stderr if two sides disagree."""
    options = _parser().parse_args(arguments)
    if not _devices(options.device):
        print(f"error: there is no device {options.device} here", file=sys.stderr)
        return 1
    rows: list[Row] = []
    bounds: list[Bound] = []
    try:
        for device in _devices(options.device):
            for comparison in _selected(options.only, device, options.quick):
                for threads in _thread_counts(device, comparison):
                    row, limits = _measured(comparison, device, threads, 0.05 if options.quick else SECONDS)
                    print(table.text([row]).splitlines()[1], flush=True)
                    rows.append(row)
                    bounds += limits
    except DisagreementError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: python -m pip install -e '.[bench]'", file=sys.stderr)
        return 1
    if not rows:
        print(f"error: no comparison is called {options.only!r}: name a part of its description", file=sys.stderr)
        return 1
    print("\n" + table.text(rows))
    print(f"\n{sum(row.met for row in rows)} of {len(rows)} goals met")
    folder = options.output or (None if options.only or options.quick else Path(__file__).parent)
    if folder is not None:
        table.write(rows, bounds, folder)
        print(f"written to {folder.resolve().relative_to(Path.cwd()) if options.output is None else folder}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Ours beside what a user would pick instead."
    )
    parser.add_argument(
        "--only", metavar="NAME", default="", help=f"a subject ({', '.join(SUBJECTS)}) or a part of a row's description"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="measure there alone (else wherever this machine can)"
    )
    parser.add_argument("--quick", action="store_true", help="small inputs and few repeats: checks, not figures")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where to write, in place of benchmarks/; a partial or quick run writes nothing otherwise",
    )
    return parser


def _devices(wish: str | None) -> list[torch.device]:
    found = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return [torch.device(name) for name in found if wish in (None, name)]


def _selected(only: str, device: torch.device, quick: bool) -> Iterator[Comparison]:
    subjects = [only] if only in SUBJECTS else SUBJECTS
    for subject in subjects:
        for comparison in importlib.import_module(f"benchmarks.{subject}").comparisons(device, quick):
            if only in (*SUBJECTS, "") or only.lower() in f"{comparison.what} against {comparison.against}".lower():
                yield comparison


def _thread_counts(device: torch.device, comparison: Comparison) -> list[int]:
    most = torch.get_num_threads()
    return [most] if device.type != "cpu" or comparison.memory else sorted({1, most})


def _measured(comparison: Comparison, device: torch.device, threads: int, seconds: float) -> tuple[Row, list[Bound]]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return measure(comparison, device, seconds)
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    sys.exit(main())
