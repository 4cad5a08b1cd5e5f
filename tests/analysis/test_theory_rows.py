"""Theory beside the measurement: each loss's prediction against a search of its own, and when it explains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize

from study.analysis.schemas import THEORY
from study.analysis.theory_rows import RELATIVE_TOLERANCE, TOLERANCE, predicted_optimum, theory_rows
from study.color.bins import AB_BINS
from study.config.arms import Arm, Control
from study.data.palette_world import color_distribution
from study.losses import build_loss
from tests.analysis.arms import MSE, arm

PUBLISHED = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
NORMALIZED = arm(
    "normalized",
    weights={"lab": 1.0, "saturation": 2.0, "diversity": 1.0, "confidence": 1.0},
    options={"units": "normalized"},
)
PIXEL_ARMS = [
    MSE,
    arm("saturation", weights={"lab": 1.0, "saturation": 3.0}),
    arm("confidence", weights={"lab": 2.0, "confidence": 20.0}),
    arm("normalized", weights={"lab": 1.0, "saturation": 2.0, "confidence": 1.0}, options={"units": "normalized"}),
    arm("huber", "huber", {"huber": 1.0}, options={"delta": 8.0}),
]
COLORS = np.array([[40.0, 10.0], [5.0, 45.0], [-20.0, 30.0]])
SHARES = np.array([0.5, 0.3, 0.2])


TWO = {"wide": (COLORS, SHARES), "single": (np.array([[30.0, 20.0]]), np.ones(1))}


def regions_table(colors: dict[tuple[str, str], tuple[float, float]], scatter: float = 0.0) -> pd.DataFrame:
    rows = []
    for (name, region), (a, b) in colors.items():
        chroma = np.hypot(a, b) + scatter
        values = {"a_mean": a, "b_mean": b, "chroma": chroma, "true_chroma": 45.0, "ab_rmse": 20.0}
        rows += [
            {"arm": name, "region": region, "metric": metric, "mean": value, "low": value - 0.5, "high": value + 0.5}
            for metric, value in values.items()
        ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("chosen", PIXEL_ARMS, ids=lambda chosen: f"{chosen.name}")
def test_a_prediction_is_where_the_arms_own_loss_is_smallest(chosen: Arm, tmp_path) -> None:
    loss = build_loss(chosen.loss, None, tmp_path)
    target = torch.tensor(np.repeat(COLORS, [5, 3, 2], axis=0).T.reshape(1, 2, 1, 10))

    def value(ab: np.ndarray) -> float:
        return float(loss(torch.tensor(ab).view(1, 2, 1, 1).expand_as(target), target)["total"])

    starts = [*COLORS, SHARES @ COLORS]
    options = {"xatol": 1e-7, "fatol": 1e-14, "maxiter": 2000}
    found = min(
        (minimize(value, start, method="Nelder-Mead", options=options) for start in starts), key=lambda r: r.fun
    )
    optimum = predicted_optimum(chosen, COLORS, SHARES)
    assert optimum.nearest(found.x) == pytest.approx(found.x, abs=2e-3)


def test_a_classifiers_prediction_depends_on_its_temperature_and_on_the_frequencies_of_colours() -> None:
    prior = np.full(len(AB_BINS), 1 / len(AB_BINS))
    zhang = arm("zhang", "classification", {"cross_entropy": 1.0}, decode={"temperature": 1.0})
    sharp = zhang.model_copy(update={"decode": zhang.decode.model_copy(update={"temperature": 0.01})})
    # With equal frequencies no colour is weighted, so the mean is decoded, up to the bins; the mode at T -> 0.
    mean = predicted_optimum(zhang, COLORS, SHARES, prior)
    assert mean.low == pytest.approx(SHARES @ COLORS, abs=1.0)
    assert predicted_optimum(sharp, COLORS, SHARES, prior).low == pytest.approx([40, 10], abs=0.5)
    assert predicted_optimum(zhang, COLORS, SHARES).low is None
    plain = arm("plain", "classification", options={"rebalance": None}, decode={"temperature": 1.0})
    assert predicted_optimum(plain, COLORS, SHARES).low == pytest.approx(mean.low)


def test_controls_are_gains_on_the_prediction_of_the_arm_they_are_made_from() -> None:
    gray = MSE.model_copy(update={"name": "gray", "control": Control(of="mse", match="gray")})
    gained = MSE.model_copy(update={"name": "gained", "control": Control(of="mse", match="truth")})
    assert predicted_optimum(gray, COLORS, SHARES).low.tolist() == [0, 0]
    assert predicted_optimum(gained, COLORS, SHARES).low is None
    optimum = predicted_optimum(gained, COLORS, SHARES, gain=1.5)
    assert optimum.low == pytest.approx(1.5 * SHARES @ COLORS)
    assert optimum.note == "gain 1.5"


@pytest.mark.parametrize("loss", ["anti_average_circular", "anti_average_lpips"])
def test_losses_with_the_same_terms_per_pixel_have_the_same_prediction_and_say_that_it_is_partial(loss: str) -> None:
    published = predicted_optimum(arm("published", weights=PUBLISHED), COLORS, SHARES)
    other = predicted_optimum(arm("other", loss), COLORS, SHARES)
    assert other.low == pytest.approx(published.low)
    assert other.note == published.note == "per-pixel terms only"
    assert predicted_optimum(arm("bare", weights={"lab": 1.0, "confidence": 1.0}), COLORS, SHARES).note == ""
    assert predicted_optimum(arm("no_lab", weights={"confidence": 1.0}), COLORS, SHARES).low is None


def table_of(*given: Any) -> pd.DataFrame:
    return THEORY.frame(theory_rows(*given), study="made")


def test_rows_compare_the_predicted_with_the_measured_colour_per_kind() -> None:
    mean = SHARES @ COLORS  # (17.5, 24.5)
    strong = arm("strong", weights={"lab": 1.0, "saturation": 3.0, "diversity": 300.0})
    other = arm("other", "pinball", {"pinball": 1.0})
    optimum = predicted_optimum(strong, COLORS, SHARES).low
    colors = {
        ("mse", "wide"): (mean[0] + 1, mean[1]),
        ("mse", "single"): (30.0, 12.0),
        ("strong", "wide"): (optimum[0], optimum[1] - 1),
        ("strong", "single"): (30.0, 20.0),
        ("other", "wide"): (1.0, 2.0),
        ("other", "single"): (1.0, 2.0),
    }
    unscored = arm("unscored", weights=PUBLISHED)
    table = table_of(TWO, [MSE, strong, unscored, other], regions_table(colors))
    assert list(table["arm"]) == ["mse", "mse", "strong", "strong", "other", "other"]
    rows = table.set_index(["arm", "region"])
    wide = rows.loc[("mse", "wide")]
    assert (wide["predicted_a"], wide["predicted_b"]) == pytest.approx(tuple(mean), abs=1e-5)
    assert (wide["distance"], wide["explained"]) == (pytest.approx(1.0, abs=1e-5), "yes")
    assert (wide["chroma_high"] - wide["chroma_low"], wide["true_chroma"]) == (pytest.approx(1.0), 45.0)
    assert (rows.loc[("mse", "single"), "distance"], rows.loc[("mse", "single"), "explained"]) == (8.0, "no")
    strongly = rows.loc[("strong", "wide")]
    assert (strongly["explained"], strongly["note"]) == ("yes", "per-pixel terms only")
    assert strongly["predicted_change"] == pytest.approx(np.hypot(*optimum) - np.hypot(*mean), abs=1e-5)
    assert strongly["change"] == pytest.approx(strongly["chroma"] - wide["chroma"])
    assert set(rows.loc["other", "explained"]) == {"no theory"}
    assert rows.loc["other", ["predicted_a", "distance", "predicted_change"]].isna().all(axis=None)
    assert rows.loc[("other", "wide"), "a"] == 1.0


def test_many_colours_whose_mean_is_the_predicted_one_are_not_explained() -> None:
    colors = {("mse", "wide"): tuple(SHARES @ COLORS), ("mse", "single"): (30.0, 20.0)}
    table = table_of(TWO, [MSE], regions_table(colors, scatter=12.0)).set_index("region")
    assert table.loc["wide", "distance"] == pytest.approx(0, abs=1e-5)
    assert table.loc["wide", "explained"] == "no"
    assert "scatter" in table.loc["wide", "note"]


def test_a_vivid_colour_of_another_hue_is_told_apart_from_a_wrong_chroma() -> None:
    chroma = np.hypot(*predicted_optimum(NORMALIZED, COLORS, SHARES).low)
    measured = {("normalized", "wide"): (chroma, 0.0), ("normalized", "single"): (0.0, 0.0)}
    table = table_of(TWO, [NORMALIZED], regions_table(measured)).set_index("region")
    assert list(table["explained"]) == ["no", "no"]
    assert "chroma as predicted, hue not" in table.loc["wide", "note"]
    assert "chroma as predicted" not in table.loc["single", "note"]
    assert table["change"].isna().all()  # there is no arm with plain squared error to compare with


def test_where_a_range_of_colours_is_optimal_the_nearest_counts() -> None:
    halves = {"car": (np.array([[0.0, 10], [40, 10]]), np.array([0.5, 0.5]))}
    huber = arm("huber", "huber", {"huber": 1.0})
    for a, predicted in ((25.0, 25.0), (60.0, 39.0)):
        (row,) = theory_rows(halves, [huber], regions_table({("huber", "car"): (a, 10.0)}))
        assert (row["predicted_a"], row["distance"]) == pytest.approx((predicted, a - predicted))
        assert "range" in row["note"]


def test_a_mean_without_hue_is_noted_and_lost_kinds_have_no_row() -> None:
    tie = {"tie": (np.array([[40.0, 0], [-38, 0]]), np.array([0.5, 0.5])), "single": TWO["single"]}
    (row,) = theory_rows(tie, [NORMALIZED], regions_table({("normalized", "tie"): (0.0, 39.0)}))
    assert row["region"] == "tie" and "tie" in row["note"]


def test_without_a_known_distribution_there_are_no_rows() -> None:
    assert theory_rows({}, [MSE], regions_table({("mse", "wide"): (0.0, 0.0)})) == []


def test_the_tolerance_separates_averaging_from_the_normalized_convention_in_every_wide_region() -> None:
    world = color_distribution()
    for k in np.flatnonzero(world.wide):
        real = world.probabilities[k] > 0
        colors, shares = world.modes[k][real].astype(float), world.probabilities[k][real].astype(float)
        vivid = predicted_optimum(NORMALIZED, colors, shares / shares.sum()).low
        apart = np.hypot(*(vivid - world.mean[k]))
        assert apart > 1.5 * max(TOLERANCE, RELATIVE_TOLERANCE * np.hypot(*vivid))
        assert 12 < apart < 41
