"""Shares of the gradient: of each validation's sum, and of nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from study.analysis.gradients import gradient_rows
from study.analysis.schemas import GRADIENTS
from study.config.arms import Arm, Control
from tests.analysis.arms import MSE, arm

FULL = arm("full", weights={"lab": 1.0, "saturation": 0.01, "confidence": 1.0})


def curves(norms: dict[str, dict[str, list[float]]], split: str = "val", seeds: int = 3) -> pd.DataFrame:
    rows = [
        {"arm": name, "split": split, "name": term, "step": 10 * k, "images": 320 * k, "mean": value, "seeds": seeds}
        for name, terms in norms.items()
        for term, values in terms.items()
        for k, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def gradient_table(curves: pd.DataFrame, arms: list[Arm]) -> pd.DataFrame:
    return GRADIENTS.frame(gradient_rows(curves, arms), study="made")


def test_shares_are_of_the_sum_of_norms_at_each_validation() -> None:
    norms = {
        "gradient_lab": [8.0, 3.0],
        "gradient_saturation": [0.0, 1.0],
        "gradient_confidence": [2.0, 0.0],
        "gradient_diversity": [0.0, 0.0],
        "ab_rmse": [20.0, 19.0],
    }
    table = gradient_table(curves({"full": norms}), [FULL]).set_index("term")
    assert list(table.index) == ["lab", "saturation", "confidence", "diversity"]
    assert table.loc["lab", ["first", "last", "mean"]].tolist() == pytest.approx([0.8, 0.75, 0.775])
    assert table.loc["saturation", ["first", "last", "mean"]].tolist() == pytest.approx([0, 0.25, 0.125])
    assert table[["first", "last", "mean"]].sum().tolist() == pytest.approx([1, 1, 1])
    assert table["weight"].tolist() == [1.0, 0.01, 1.0, 0.0]
    assert set(table["seeds"]) == {3}


def test_the_order_of_rows_does_not_matter_and_empty_validations_do_not_count() -> None:
    norms = {"gradient_lab": [0.0, 1.0, 4.0], "gradient_confidence": [0.0, 3.0, 4.0]}
    rows = curves({"full": norms})
    expected = gradient_table(rows, [FULL])
    assert expected.set_index("term").loc["lab", ["first", "last", "mean"]].tolist() == [0.25, 0.5, 0.375]
    pd.testing.assert_frame_equal(
        gradient_table(rows.iloc[::-1], [FULL]).sort_values("term", ignore_index=True),
        expected.sort_values("term", ignore_index=True),
    )


def test_one_term_has_all_of_it_and_weights_left_to_the_loss_are_not_guessed() -> None:
    default = arm("default", "classification")
    norms = {"mse": {"gradient_lab": [5.0, 1.0]}, "default": {"gradient_cross_entropy": [0.1, 0.2]}}
    table = gradient_table(curves(norms), [MSE, default])
    assert table[["first", "last", "mean"]].to_numpy().tolist() == [[1, 1, 1]] * 2
    assert table["weight"].iloc[0] == 1
    assert pd.isna(table["weight"].iloc[1])


def test_only_validations_of_trained_arms_count() -> None:
    training = curves({"mse": {"gradient_lab": [5.0]}}, split="train")
    control = MSE.model_copy(update={"name": "gray", "control": Control(of="mse", match="gray")})
    table = gradient_table(pd.concat([training, curves({"gray": {"gradient_lab": [5.0]}})]), [MSE, control])
    assert len(table) == 0
    silent = gradient_table(curves({"mse": {"gradient_lab": [0.0, 0.0]}}), [MSE])
    assert len(silent) == 0
