"""Claims about training and cost: every kind on made-up curves, times and files with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from tests.analysis.worlds import SEEDS, judged, sources


def history(values: list[float], name: str = "lab", split: str = "train") -> pd.DataFrame:
    steps = range(1, len(values) + 1)
    return pd.DataFrame({"step": steps, "images": steps, "split": split, "name": name, "value": values})


def curves(shape: list[float], luck: float = 0.01) -> dict[tuple[str, int], pd.DataFrame]:
    rng = np.random.default_rng(0)
    return {("own", seed): history((np.array(shape) * (1 + luck * rng.normal())).tolist()) for seed in range(SEEDS)}


@pytest.mark.parametrize(
    ("shape", "behaviour", "verdict", "estimate"),
    [
        ([10, 8, 6, 5, 5, 5, 5, 5], "falls", "confirmed", -50),
        ([10, 8, 6, 9, 9, 9, 10, 10], "falls", "negligible", 0),
        ([10, 12, 14, 14, 14, 14, 14, 14], "falls", "opposite", 40),
        ([10, 9, 10.5, 9, 9, 9, 9, 9], "bounded", "confirmed", 5),
        ([10, 9, 9, 15, 9, 9, 9, 9], "bounded", "opposite", 50),
    ],
)
def test_training_curves(write: Callable, shape: list[float], behaviour: str, verdict: str, estimate: float) -> None:
    noisy = {
        key: table.assign(value=table["value"] * (1 + 0.001 * np.random.default_rng(key[1]).normal(size=len(table))))
        for key, table in curves(shape).items()
    }
    found = sources(declared=["own"], histories=noisy)
    row = judged(write, found, kind="training", arm="own", term="lab", behaviour=behaviour, margin=10)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(estimate, abs=1)


def cells(dullness: Callable[[int], float], arms: int = 8) -> dict[tuple[str, int], pd.DataFrame]:
    """Validation rows of cells whose confidence loss is k and whose missing chroma is dullness(k)."""
    found = {}
    for k in range(arms):
        for seed in range(2):
            missing = dullness(k) + 0.1 * seed
            values = {"confidence": k + 0.1 * seed, "chroma": 50 - missing, "chroma_ratio": (50 - missing) / 50}
            parts = [history([9.0, value], name, "val") for name, value in values.items()]
            found[f"arm{k}", seed] = pd.concat(parts)
    return found


def test_a_correlation_over_cells(write: Callable) -> None:
    claim = {"kind": "correlation", "term": "confidence", "margin": 0.3}
    row = judged(write, sources(histories=cells(lambda k: 2 * k)), **claim)
    assert (row["verdict"], row["estimate"]) == ("confirmed", pytest.approx(1))
    assert judged(write, sources(histories=cells(lambda k: 40 - 2 * k)), **claim)["verdict"] == "opposite"
    shuffled = [3.0, 30, 7, 21, 2, 28, 11, 16]
    row = judged(write, sources(histories=cells(lambda k: shuffled[k])), **claim)
    assert row["verdict"] == "inconclusive"
    x = [k + 0.1 * seed for k in range(8) for seed in range(2)]
    y = [shuffled[k] + 0.1 * seed for k in range(8) for seed in range(2)]
    assert row["estimate"] == pytest.approx(reference.spearmanr(x, y).statistic)


def test_a_correlation_needs_arms_and_leaves_controls_out(write: Callable) -> None:
    claim = {"kind": "correlation", "term": "confidence", "margin": 0.3}
    few = cells(lambda k: 2 * k, arms=3)
    assert judged(write, sources(histories=few), **claim)["verdict"] == "not testable"
    control = {("gain", 0): few["arm0", 0].groupby("name").tail(1)}
    assert "3" in judged(write, sources(histories=few | control), **claim)["why"]


def record(memory: float, parameters: int) -> dict[str, Any]:
    return {"peak_memory_mb": memory, "parameters": parameters}


def test_cost(write: Callable, tmp_path: Path) -> None:
    jitter = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0]
    records = {("small", seed): record(101, 900) for seed in range(SEEDS)}
    records |= {("large", seed): record(100, 1000) for seed in range(SEEDS)}
    # The machine spoils a round of each process, for both.
    times = {"small": np.outer(10 * np.array(jitter), [1, 1, 3]), "large": np.outer(16 / np.array(jitter), [1, 1, 9])}
    (tmp_path / "small.py").write_text("x = 1\n")
    (tmp_path / "large.py").write_text("x = 1\ny = 2\n")
    files = {name: tmp_path / f"{name}.py" for name in ("small", "large")}
    found = sources(declared=["small", "large"], records=records, step_times=times, loss_files=files)

    def of(what: str, arm: str = "small", against: str = "large") -> pd.Series:
        return judged(write, found, kind="cost", arm=arm, against=against, what=what, margin=5)

    time = of("step_ms")
    logs = np.log([10 / 16 * j * j for j in jitter])
    low, high = reference.t.interval(0.95, 5, loc=logs.mean(), scale=reference.sem(logs))
    assert time["verdict"] == "confirmed"
    assert time["estimate"] == pytest.approx(100 * np.expm1(logs.mean()))
    found_ends = np.log1p(time["low"] / 100), np.log1p(time["high"] / 100)
    assert found_ends == pytest.approx((low, high), abs=0.1 * (high - low))
    assert of("step_ms", "large", "small")["verdict"] == "opposite"
    assert (time["comparison"], np.isnan(time["p"]), np.isnan(time["p_min"])) == (
        "small against large, 6 processes", True, True,
    )  # fmt: skip
    assert of("peak_memory_mb")["verdict"] == "negligible"
    parameters = of("parameters")
    assert (parameters["verdict"], parameters["estimate"]) == ("confirmed", pytest.approx(-10))
    assert np.isnan(parameters["p"])
    for less in ({"small": times["small"]}, {name: own[:1] for name, own in times.items()}):
        row = judged(
            write, replace(found, step_times=less), kind="cost", arm="small", against="large", what="step_ms", margin=5
        )
        assert row["verdict"] == "not testable"
    code = of("code_lines")
    assert (code["estimate"], code["comparison"]) == (-50, "small against large: 1 and 2")
