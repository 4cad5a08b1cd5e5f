"""python -m benchmarks [--only NAME] [--quick] [--output FOLDER]"""

from __future__ import annotations

import argparse
import importlib
import platform
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
    rows: list[Row] = []
    bounds: list[Bound] = []
    try:
        for device in _devices():
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
        table.write(rows, bounds, machine(), folder)
        print(f"written to {folder.resolve().relative_to(Path.cwd()) if options.output is None else folder}")
    return 0


def machine() -> str:
    """The processor and its cores, the graphics card, and the operating system, without the machine's name."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0] if models else cpu
    cards = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([f"{cpu} with {torch.get_num_threads()} threads", *cards, platform.system()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Ours beside what a user would pick instead."
    )
    parser.add_argument(
        "--only", metavar="NAME", default="", help=f"a subject ({', '.join(SUBJECTS)}) or a part of a row's description"
    )
    parser.add_argument("--quick", action="store_true", help="small inputs and few repeats: checks, not figures")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where to write; a partial or quick run writes nothing otherwise"
    )
    return parser


def _devices() -> list[torch.device]:
    return [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]


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
