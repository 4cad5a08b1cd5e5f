"""The factorial against additive models, brute force over orders, least squares, and arms that only look like one."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study import statistics as stats
from study.analysis.factorial import CORNERS, TERMS, effect_contrasts, factorial_arms, factorial_rows
from study.analysis.schemas import FACTORIAL
from study.config.arms import Arm, Control
from tests.analysis.arms import MSE, arm

TOP = {"saturation": 3.0, "diversity": 300.0, "confidence": 10.0}


def corner_arm(corner: tuple[int, ...], top: dict[str, float] = TOP, prefix: str = "x") -> Arm:
    on = {term: weight for (term, weight), chosen in zip(top.items(), corner, strict=True) if chosen}
    return arm(f"{prefix}{''.join(map(str, corner))}", weights={"lab": 1.0, **on})


FULL = [MSE, *(corner_arm(corner) for corner in CORNERS if any(corner))]


def weights(seeds: int, images: int) -> stats.Weights:
    return stats.bootstrap_weights(seeds, images, 500, np.random.default_rng(seeds * 1000 + images))


def table_of(scores: dict[str, dict[str, pd.DataFrame]], arms: list[Arm] = FULL) -> pd.DataFrame:
    return FACTORIAL.frame(factorial_rows(scores, arms, weights), study="made")


def scores_of(values: dict[tuple[int, ...], float], noise: np.ndarray | float = 0.0) -> dict[str, pd.DataFrame]:
    """Scores 4 seeds x 6 images of the arms of FULL; noise is shared by all of them."""
    return {
        arm_.name: pd.DataFrame(np.full((4, 6), values[corner]) + noise)
        for corner, arm_ in zip(CORNERS, FULL, strict=True)
    }


def test_the_eight_arms_are_found_by_their_weights_not_by_their_names() -> None:
    decoys = [
        corner_arm((1, 1, 0), {**TOP, "saturation": 2.0}, "other_weight"),
        arm("normalized", weights={"lab": 1.0, **TOP}, options={"units": "normalized"}),
        arm("faster", weights={"lab": 1.0, **TOP}, train={"learning_rate": 0.1}),
        MSE.model_copy(update={"name": "gain", "control": Control(of="mse", match="truth")}),
        arm("tuned", weights={"lab": 1.0, **TOP}, tuned={"family": "anti_average"}),
        arm("huber", "huber", {"huber": 1.0}),
    ]
    rng = np.random.default_rng(0)
    arms = [*decoys, *FULL]
    found = factorial_arms([arms[k] for k in rng.permutation(len(arms))])
    assert found == {corner: chosen.name for corner, chosen in zip(CORNERS, FULL, strict=True)}


def test_a_corner_missing_is_no_factorial_and_of_two_the_one_of_larger_weights_counts() -> None:
    small = {"saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
    published = [corner_arm(corner, small, "p") for corner in CORNERS if any(corner)]
    assert factorial_arms([MSE, *published[:-1]]) is None
    assert factorial_arms(FULL[1:]) is None
    assert factorial_arms([*published, *FULL])[1, 1, 1] == "x111"
    assert factorial_arms([MSE, *published])[1, 1, 1] == "p111"


def test_effects_that_only_add_up_have_no_interaction_and_a_shapley_value_like_their_main_effect() -> None:
    own = {"saturation": 1.5, "diversity": -0.5, "confidence": 4.0}
    values = {corner: 10 + float(np.dot(corner, list(own.values()))) for corner in CORNERS}
    noise = np.random.default_rng(1).normal(0, 5, (4, 6))
    table = table_of({"chroma": scores_of(values, noise)}).set_index("effect")
    for term, effect in own.items():
        for row in (term, f"shapley {term}"):
            # Paired by seed and image, so noise that all arms share leaves no width.
            assert table.loc[row, ["estimate", "low", "high"]].tolist() == pytest.approx([effect] * 3)
            assert table.loc[row, "shapley"] == pytest.approx(effect / 5)
    interactions = table[table.index.str.contains(" x ")]
    assert len(interactions) == 4
    assert interactions["estimate"].tolist() == pytest.approx([0] * 4, abs=1e-12)
    assert interactions["shapley"].isna().all()
    assert table.loc["all three", "estimate"] == pytest.approx(5.0)
    assert set(table["metric"]) == {"chroma"}
    assert set(table["seeds"]) == {4}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=8, max_size=8))
def test_shapley_values_are_the_mean_over_all_orders_of_switching_on(values: list[float]) -> None:
    worth = dict(zip(CORNERS, values, strict=True))
    contrasts = effect_contrasts()
    for k, term in enumerate(TERMS):
        added = []
        for order in permutations(range(3)):
            before = tuple(int(order.index(j) < order.index(k)) for j in range(3))
            after = tuple(1 if j == k else on for j, on in enumerate(before))
            added.append(worth[after] - worth[before])
        assert contrasts[f"shapley {term}"] @ values == pytest.approx(np.mean(added), abs=1e-9)
    total = sum(contrasts[f"shapley {term}"] @ values for term in TERMS)
    assert total == pytest.approx(worth[1, 1, 1] - worth[0, 0, 0], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=8, max_size=8))
def test_effects_are_the_coefficients_of_a_regression_on_signs(values: list[float]) -> None:
    signs = 2 * np.array(CORNERS) - 1
    columns = [np.prod(signs**powers, axis=1) for powers in product((0, 1), repeat=3) if any(powers)]
    design = np.column_stack([np.ones(8), *columns])
    coefficients = np.linalg.lstsq(design, np.array(values), rcond=None)[0][1:]
    expected = {
        " x ".join(term for term, power in zip(TERMS, powers, strict=True) if power): 2 * coefficient
        for powers, coefficient in zip((p for p in product((0, 1), repeat=3) if any(p)), coefficients, strict=True)
    }
    contrasts = effect_contrasts()
    for effect, value in expected.items():
        assert contrasts[effect] @ values == pytest.approx(value, abs=1e-8)


def test_intervals_are_those_of_the_paired_contrast_and_shares_need_a_change_to_share() -> None:
    rng = np.random.default_rng(2)
    noisy = {chosen.name: pd.DataFrame(rng.normal(0, 1, (4, 6))) for chosen in FULL}
    table = table_of({"chroma": noisy}).set_index("effect")
    on = [chosen.name for corner, chosen in zip(CORNERS, FULL, strict=True) if corner[0]]
    off = [chosen.name for corner, chosen in zip(CORNERS, FULL, strict=True) if not corner[0]]
    delta = np.mean([noisy[name] for name in on], axis=0) - np.mean([noisy[name] for name in off], axis=0)
    mean, low, high = (float(value[0]) for value in stats.interval(delta[None], weights(4, 6)))
    assert table.loc["saturation", ["estimate", "low", "high"]].tolist() == pytest.approx([mean, low, high])
    assert table.loc["all three", "low"] < 0 < table.loc["all three", "high"]
    assert table["shapley"].isna().all()


def test_only_seeds_that_all_eight_share_and_metrics_that_all_eight_have_count() -> None:
    values = {corner: float(sum(corner)) for corner in CORNERS}
    tables = scores_of(values)
    tables["x111"] = tables["x111"].drop(index=2)
    without = {name: scores for name, scores in tables.items() if name != "x100"}
    table = table_of({"chroma": tables, "psnr": without})
    assert set(table["metric"]) == {"chroma"}
    assert set(table["seeds"]) == {3}


def test_without_a_factorial_there_are_no_rows() -> None:
    assert factorial_rows({"chroma": {"mse": pd.DataFrame(np.zeros((2, 3)))}}, [MSE], weights) == []
