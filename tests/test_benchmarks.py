"""The benchmarks: both sides of a comparison agree, a pair that does not is refused, the columns are fixed."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as program
from benchmarks import metrics, table
from benchmarks.measure import Bound, Comparison, DisagreementError, Row, check_agreement, measure, peak_bytes
from study.metrics import colorfulness

CPU = torch.device("cpu")
SMALL = list(program._selected("", CPU, quick=True))


@pytest.mark.parametrize("comparison", SMALL, ids=lambda comparison: f"{comparison.what} - {comparison.against}")
def test_both_sides_agree(comparison: Comparison) -> None:
    assert 0 <= check_agreement(comparison) <= comparison.tolerance


def pair(difference: float, tolerance: float = 1e-3) -> Comparison:
    """Two sides that take the same, and are said to differ by `difference`."""
    numbers = torch.rand(1000)
    return Comparison("sum", "the same sum", 1.0, numbers.sum, numbers.sum, lambda: difference, tolerance)


@pytest.mark.parametrize("difference", [2e-3, float("nan"), float("inf")])
def test_a_pair_that_disagrees_is_refused_before_it_is_timed(difference: float) -> None:
    def timed() -> None:
        raise AssertionError("timed")

    with pytest.raises(DisagreementError, match=r"sum and the same sum differ by .* tolerance of 0\.001"):
        measure(replace(pair(difference), ours=timed, theirs=timed), CPU, 0.01)


def test_the_program_refuses_a_pair_that_disagrees_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "_selected", lambda *_: iter([pair(0.0), pair(0.5)]))
    assert program.main(["--quick", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: sum and the same sum differ by 0.5")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_wrong_result_of_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "colorfulness", lambda levels: 1.01 * colorfulness(levels))
    comparison = next(c for c in metrics.comparisons(CPU, quick=True) if c.what.startswith("colorfulness"))
    with pytest.raises(DisagreementError):
        check_agreement(comparison)


def test_a_run_writes_tables_whose_columns_are_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--only", "AuC", "--quick", "--output", str(tmp_path)]) == 0
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["what", "against", "ratio", "goal", "device"]
    assert {"AuC of 8,192 pixels"} == {row["what"] for row in rows}
    assert all(float(row["ratio"]) > 0 and row["goal"] == "25" and row["device"] == "cpu" for row in rows)
    assert all(float(row["agree"]) <= float(row["tolerance"]) for row in rows)
    with (tmp_path / "bounds.csv").open(newline="") as file:
        bounds = list(csv.DictReader(file))
    assert all(float(bound["value"]) > 0 for bound in bounds) and bounds
    assert "AuC of 8,192 pixels" in capsys.readouterr().out
    assert "| AuC of 8,192 pixels | loop over 151 thresholds |" in (tmp_path / "results.md").read_text()


def test_an_unknown_name_is_refused_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--only", "weather", "--quick"]) == 1
    assert capsys.readouterr().err == "error: no comparison is called 'weather': name a part of its description\n"


def row(what: str, ratio: float, goal: float, device: str = "cpu") -> Row:
    return Row(what, "x", ratio, goal, device, 1, 1.0, ratio, "ms", ratio, ratio, 0.0, 1.0, "torch", f"a {device}")


def test_a_goal_is_met_when_the_ratio_is_at_least_the_goal() -> None:
    assert row("a", 2.0, 2.0).met
    assert not row("a", 1.999, 2.0).met


def test_the_markdown_shows_what_bounds_the_missed_goals_alone() -> None:
    rows = [row("fast", 3.0, 2.0), row("slow", 1.0, 2.0)]
    bounds = [Bound(r.what, r.against, f"part of {r.what}", 0.5, 1.0, "ms", 2.0, 2.0, "cpu", 1) for r in rows]
    page = table.markdown(rows, bounds)
    assert "part of slow" in page
    assert "part of fast" not in page


def test_rows_of_a_device_that_is_not_here_are_kept_and_those_of_a_device_measured_anew_are_not(
    tmp_path: Path,
) -> None:
    old = [row("a", 1.25, 2.0), row("a", 3.5, 2.0, "a card"), row("gone", 1.0, 2.0)]
    bounds = [Bound(r.what, r.against, "part", 0.5, 1.0, "ms", 2.0, 2.0, r.device, 1) for r in old]
    table.write(old, bounds, tmp_path)
    table.write([row("a", 2.5, 2.0)], [], tmp_path)
    assert table.read(tmp_path / "results.csv", Row) == [row("a", 2.5, 2.0), row("a", 3.5, 2.0, "a card")]
    assert table.read(tmp_path / "bounds.csv", Bound) == [bounds[1]]
    page = (tmp_path / "results.md").read_text()
    assert "a cpu; torch." in page and "a a card; torch." in page


def test_a_device_that_is_not_here_is_refused_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert program.main(["--device", "cuda", "--quick"]) == 1
    assert capsys.readouterr().err == "error: there is no device cuda here\n"


def test_peak_memory_counts_results_and_intermediates_but_not_inputs() -> None:
    numbers = torch.ones(1_000_000)
    assert peak_bytes(lambda: numbers + 1, CPU) == pytest.approx(4e6, rel=0.01)
    assert peak_bytes(lambda: (numbers * 2).add_(1).sum(), CPU) == pytest.approx(4e6, rel=0.01)
    assert peak_bytes(lambda: ((numbers * 2) + 1) * 3, CPU) == pytest.approx(8e6, rel=0.01)
    assert peak_bytes(lambda: numbers.sum(), CPU) < 1000


@pytest.mark.verify
def test_the_memory_goals_are_met() -> None:
    """Allocations are counted, not timed: the same on every machine. At full size, because small ones have overhead."""
    for comparison in program._selected("memory", CPU, quick=False):
        assert measure(comparison, CPU, 0.0)[0].met, comparison.what
