"""Claims: every kind on made-up tables with a known answer, the verdicts, the file, and what no longer holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats as reference

from study.analysis.claims import COLUMNS, MEASURES, claim_rows, held, load_claims, lost
from study.analysis.compare import BootstrapWeights
from study.analysis.contrasts import Sources
from study.config.arms import arm_names
from study.errors import StudyError
from tests.conftest import REPOSITORY

SEEDS, IMAGES = 6, 30


def scores(center: float, luck: float = 0.01, seed: int = 0, seeds: int = SEEDS) -> pd.DataFrame:
    """Scores seeds x images: the same pictures for every arm, some luck of the seeds, all around `center`."""
    pictures = np.random.default_rng(99).normal(0, 2, IMAGES)
    own = np.random.default_rng(seed).normal(0, luck, (seeds, 1))
    return pd.DataFrame(center + (pictures - pictures.mean()) + own - own.mean())


def sources(**changes: Any) -> Sources:
    base = Sources(
        declared=[],
        matrices={},
        by_kind=pd.DataFrame(columns=["arm", "seed", "image", "kind", "metric", "value"]),
        records={},
        histories={},
        step_times={},
        means={},
        loss_files={},
        weights=BootstrapWeights(1000, 0),
    )
    return replace(base, **changes)


def with_scores(metric: str, **centers: float | pd.DataFrame) -> Sources:
    matrices = {
        arm: scores(center, seed=k) if isinstance(center, float | int) else center
        for k, (arm, center) in enumerate(centers.items())
    }
    return sources(declared=list(centers), matrices={metric: matrices})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[Any]]:
    """Writes claims as ablations/claims.yaml and loads them."""

    def load(*claims: dict[str, Any]) -> list[Any]:
        defaults = {"number": "1", "says": "Something holds", "predicted": "open"}
        content = {"claims": [{"id": f"claim{k}"} | defaults | claim for k, claim in enumerate(claims)]}
        (tmp_path / "ablations").mkdir(exist_ok=True)
        (tmp_path / "ablations" / "claims.yaml").write_text(yaml.safe_dump(content))
        return load_claims(tmp_path)

    return load


def judged(write: Callable[..., list[Any]], found: Sources, **claim: Any) -> pd.Series:
    """The row of a single claim."""
    return claim_rows(write(claim), found).iloc[0]


# -- one arm, two arms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "own", "verdict"),
    [
        ("up", 12.0, "confirmed"),
        ("up", 8.0, "refuted"),
        ("up", 10.2, "refuted"),  # chroma's margin is 0.5: practically nothing
        ("down", 8.0, "confirmed"),
        ("down", 12.0, "refuted"),
        ("down", 9.8, "refuted"),
    ],
)
def test_a_difference(write: Callable, direction: str, own: float, verdict: str) -> None:
    found = with_scores("chroma", mse=10.0, own=own)
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction=direction)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(own - 10)
    assert row["low"] < row["estimate"] < row["high"]
    assert (row["p"], row["p_min"], row["unit"], row["comparison"]) == (1 / 32, 1 / 32, "Lab", "own − mse")


def test_a_refuted_claim_says_in_which_way_it_fails(write: Callable) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    for own, why in (
        (scores(10.2, luck=0.01, seed=1), "right in direction, but too little to matter"),
        (scores(10.0, luck=0.1, seed=1), "what there is in the claimed direction is too little to matter"),
        (scores(8.0, luck=0.1, seed=1), "the whole interval lies where the claim is wrong"),
    ):
        row = judged(write, with_scores("chroma", mse=10.0, own=own), **claim)
        assert (row["verdict"], row["why"]) == ("refuted", why)


def test_a_sure_direction_is_not_enough_while_the_estimate_is_within_the_margin(write: Callable) -> None:
    """Else a blurred measurement could confirm what a sharp one refutes."""
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    verdicts = []
    for luck in (0.005, 0.15, 0.9):
        row = judged(write, with_scores("chroma", mse=10.0, own=scores(10.45, luck, seed=1)), **claim)
        verdicts.append((row["verdict"], bool(row["low"] > 0), bool(row["high"] > 0.5)))
    assert verdicts == [("refuted", True, False), ("undecided", True, True), ("undecided", False, True)]


@pytest.mark.parametrize(("metric", "level", "direction"), [("purple_cast", 0.02, "down"), ("ssim", 0.999, "up")])
def test_a_claim_needs_room_for_the_change_that_it_claims(
    write: Callable, metric: str, level: float, direction: str
) -> None:
    found = sources(declared=["mse", "own"], matrices={metric: {"mse": scores(0) * 0 + level, "own": scores(0) * 0}})
    row = judged(write, found, kind="difference", arm="own", against="mse", metric=metric, direction=direction)
    assert row["verdict"] == "not testable" and f"mse has a {metric} of {level:.2g}" in row["why"]


def test_a_difference_that_is_lost_in_the_luck_of_seeds_is_undecided(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=scores(11, luck=3, seed=1))
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction="up")
    assert row["verdict"] == "undecided"
    assert row["low"] < 0 < row["high"]


def test_a_claim_may_have_a_margin_of_its_own(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=10.2)
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    assert judged(write, found, **claim, margin=0.1)["verdict"] == "confirmed"
    assert judged(write, found, **claim, margin=0.3)["verdict"] == "refuted"


def test_estimate_interval_and_p_are_those_of_a_t_test_where_only_seeds_differ(write: Callable) -> None:
    luck = np.array([0.9, 1.4, 0.8, 1.3, 1.0, 1.2])
    found = with_scores("chroma", mse=10.0)
    found.matrices["chroma"]["own"] = found.matrices["chroma"]["mse"] + luck[:, None]
    found = replace(found, declared=["mse", "own"])
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction="up")
    low, high = reference.t.interval(0.95, 5, loc=luck.mean(), scale=reference.sem(luck))
    assert row["estimate"] == pytest.approx(luck.mean())
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.05 * (high - low))
    assert row["p_t"] == pytest.approx(reference.ttest_1samp(luck, 0).pvalue, rel=1e-6)


@pytest.mark.parametrize(("own", "verdict"), [(0.7, "confirmed"), (0.3, "refuted"), (0.51, "refuted")])
def test_a_value(write: Callable, own: float, verdict: str) -> None:
    matrix = own + (scores(0) - scores(0).mean().mean()) / 1000
    found = with_scores("averaging_index", mse=matrix)
    row = judged(write, found, kind="value", arm="mse", metric="averaging_index", direction="up", than=0.5)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(own)


@pytest.mark.parametrize(
    ("metric", "direction", "own", "verdict"),
    [
        ("ab_rmse", "down", 10.1, "confirmed"),  # its margin is 0.25
        ("ab_rmse", "down", 8.0, "confirmed"),
        ("ab_rmse", "down", 10.6, "refuted"),
        ("chroma", "up", 9.7, "confirmed"),  # its margin is 0.5
        ("chroma", "up", 15.0, "confirmed"),
        ("chroma", "up", 9.2, "refuted"),
    ],
)
def test_no_worse(write: Callable, metric: str, direction: str, own: float, verdict: str) -> None:
    found = with_scores(metric, mse=10.0, own=own)
    row = judged(write, found, kind="no_worse", arm="own", against="mse", metric=metric, direction=direction)
    assert row["verdict"] == verdict


@pytest.mark.parametrize(("own", "verdict"), [(11.0, "confirmed"), (12.5, "refuted"), (9.9, "refuted")])
def test_within_a_range(write: Callable, own: float, verdict: str) -> None:
    found = with_scores("chroma", mse=10.0, own=own)
    row = judged(write, found, kind="within", arm="own", against="mse", metric="chroma", low=0, high=2)
    assert row["verdict"] == verdict


def test_within_the_margin_is_equivalence(write: Callable) -> None:
    claim = {"kind": "within", "arm": "own", "against": "mse", "metric": "chroma"}
    assert judged(write, with_scores("chroma", mse=10.0, own=10.3), **claim)["verdict"] == "confirmed"
    assert judged(write, with_scores("chroma", mse=10.0, own=9.3), **claim)["verdict"] == "refuted"
    noisy = with_scores("chroma", mse=10.0, own=scores(10, luck=2, seed=1))
    assert judged(write, noisy, **claim)["verdict"] == "undecided"


@pytest.mark.parametrize(
    ("rival", "verdict", "estimate"),
    [(11.0, "confirmed", 2.0), (14.0, "refuted", -1.0), (6.0, "refuted", -1.0), (12.8, "refuted", 0.2)],
)
def test_the_strongest_is_stronger_than_the_strongest_rival(
    write: Callable, rival: float, verdict: str, estimate: float
) -> None:
    found = with_scores("chroma", mse=10.0, strong=13.0, weak=10.1, rival=rival)
    claim = {"kind": "strongest", "arm": "strong", "against": ["weak", "rival"], "baseline": "mse", "metric": "chroma"}
    row = judged(write, found, **claim)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(estimate)
    assert "rival" in row["comparison"]


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [((10, 11, 12), "confirmed"), ((12, 11, 10), "refuted"), ((10, 10.1, 10.2), "refuted")],
)
def test_a_trend(write: Callable, levels: tuple[float, ...], verdict: str) -> None:
    low, middle, high = levels
    found = with_scores("chroma", low=float(low), middle=float(middle), high=float(high))
    doses = {0.5: "low", 2.0: "high", 1.0: "middle"}
    row = judged(write, found, kind="trend", doses=doses, metric="chroma", direction="up")
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(high - low)
    assert row["comparison"] == "low (0.5) → middle (1) → high (2)"


def test_a_trend_with_a_step_back_is_refuted_by_that_step(write: Callable) -> None:
    found = with_scores("chroma", low=10.0, middle=13.0, high=12.0)
    doses = {0.5: "low", 2.0: "high", 1.0: "middle"}
    row = judged(write, found, kind="trend", doses=doses, metric="chroma", direction="up")
    assert (row["verdict"], row["comparison"]) == ("refuted", "middle (1) → high (2)")
    assert row["estimate"] == pytest.approx(-1)


def test_one_rival_that_is_as_strong_refutes_the_strongest_whatever_the_others_do(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, strong=13.0, equal=12.8, wide=scores(11.5, luck=3.0, seed=1))
    claim = {"kind": "strongest", "arm": "strong", "against": ["wide", "equal"], "baseline": "mse", "metric": "chroma"}
    row = judged(write, found, **claim)
    assert row["verdict"] == "refuted" and "equal" in row["comparison"]


# -- hue, training, cost ----------------------------------------------------------------------------------------------


def painted(arm: str, angle: float, luck: float = 0.5) -> pd.DataFrame:
    """Scores by kind: `sky` is painted `angle` degrees off its mean hue, `flower` exactly right, `wall` anyhow."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(SEEDS):
        turn = np.radians(90 + angle + luck * rng.normal())
        colors = {"sky": (20 * np.cos(turn), 20 * np.sin(turn)), "flower": (50.0, 0.0), "wall": (-1.0, 2.0)}
        for kind, ab in colors.items():
            for metric, value in zip(("a_mean", "b_mean"), ab, strict=True):
                rows += [{"arm": arm, "seed": seed, "image": i, "kind": kind, "metric": metric, "value": value}
                         for i in range(2)]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("angle", "verdict"), [(0, "confirmed"), (8, "confirmed"), (-40, "refuted")])
def test_the_same_hue_is_weighted_by_the_chroma_of_the_mean(write: Callable, angle: float, verdict: str) -> None:
    means = {"sky": (0.0, 30.0), "flower": (60.0, 0.0), "wall": (0.0, 0.1)}
    found = sources(declared=["own"], by_kind=painted("own", angle), means=means)
    row = judged(write, found, kind="same_hue", arm="own", margin=5)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(abs(angle) / 3, abs=0.3)  # sky has a third of the chroma
    farther = row["comparison"].partition("; farther off alone: ")[2]
    assert farther == (f"sky by {abs(angle)} degrees" if abs(angle) > 5 else "")
    assert row["unit"] == "degrees"


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
        ([10, 8, 6, 9, 9, 9, 10, 10], "falls", "refuted", 0),
        ([10, 12, 14, 14, 14, 14, 14, 14], "falls", "refuted", 40),
        ([10, 9, 10.5, 9, 9, 9, 9, 9], "bounded", "confirmed", 5),
        ([10, 9, 9, 15, 9, 9, 9, 9], "bounded", "refuted", 50),
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
    assert judged(write, sources(histories=cells(lambda k: 40 - 2 * k)), **claim)["verdict"] == "refuted"
    shuffled = [3.0, 30, 7, 21, 2, 28, 11, 16]
    row = judged(write, sources(histories=cells(lambda k: shuffled[k])), **claim)
    assert row["verdict"] == "undecided"
    x = [k + 0.1 * seed for k in range(8) for seed in range(2)]
    y = [shuffled[k] + 0.1 * seed for k in range(8) for seed in range(2)]
    assert row["estimate"] == pytest.approx(reference.spearmanr(x, y).statistic)


def test_a_correlation_needs_arms_and_leaves_controls_out(write: Callable) -> None:
    claim = {"kind": "correlation", "term": "confidence", "margin": 0.3}
    few = cells(lambda k: 2 * k, arms=3)
    assert judged(write, sources(histories=few), **claim)["verdict"] == "not testable"
    control = {("gain", 0): few["arm0", 0].groupby("name").tail(1)}
    assert "only 3 arms" in judged(write, sources(histories=few | control), **claim)["why"]


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
    assert of("step_ms", "large", "small")["verdict"] == "refuted"
    assert (time["comparison"], np.isnan(time["p"]), np.isnan(time["p_min"])) == (
        "small against large, 6 processes", True, True,
    )  # fmt: skip
    assert of("peak_memory_mb")["verdict"] == "refuted"
    parameters = of("parameters")
    assert (parameters["verdict"], parameters["estimate"]) == ("confirmed", pytest.approx(-10))
    assert np.isnan(parameters["p"])
    for less, why in (
        ({"small": times["small"]}, "large are not timed"),
        ({name: own[:1] for name, own in times.items()}, "in a single process"),
    ):
        row = judged(
            write, replace(found, step_times=less), kind="cost", arm="small", against="large", what="step_ms", margin=5
        )
        assert (row["verdict"], why in row["why"]) == ("not testable", True)
    code = of("code_lines")
    assert (code["estimate"], code["comparison"]) == (-50, "small against large: 1 and 2")


# -- what cannot be judged, and how sure a verdict is ----------------------------------------------------------------


def test_what_is_missing_makes_a_claim_not_testable_and_says_what(write: Callable) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "direction": "up"}
    found = replace(with_scores("chroma", mse=10.0), unmeasured={"lpips": "its weights could not be fetched"})
    assert judged(write, found, **claim, metric="chroma")["why"] == "the arm own is not part of this study"
    found = replace(found, elsewhere={"own": ["first", "second"]})
    told = judged(write, found, **claim, metric="chroma")["why"]
    assert told == "the arm own is not part of this study (it is in first, second)"
    found = replace(found, declared=["mse", "own"])
    row = judged(write, found, **claim, metric="chroma")
    assert (row["verdict"], row["why"]) == ("not testable", "no finished, scored and current cell of own")
    assert np.isnan(row["estimate"])
    row = judged(write, found, **claim, metric="lpips")
    assert row["why"] == "lpips is not measured here: its weights could not be fetched"
    row = judged(write, found, kind="same_hue", arm="own", margin=5)
    assert row["why"] == "the law of the colours is not known here"


def test_only_shared_seeds_count(write: Callable) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    found = with_scores("chroma", mse=10.0, own=scores(12, seeds=4))
    assert judged(write, found, **claim)["p_min"] == 1 / 8
    found = with_scores("chroma", mse=scores(10).loc[:2], own=scores(12).loc[3:])
    assert judged(write, found, **claim)["why"] == "own and mse have no seed in common"


def test_a_single_seed_leaves_a_claim_undecided(write: Callable) -> None:
    found = with_scores("chroma", mse=scores(10, seeds=1), own=scores(15, seeds=1))
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction="up")
    assert (row["verdict"], row["why"]) == ("undecided", "a single seed does not tell what is luck of the training")


def test_p_is_corrected_for_the_number_of_claims(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=scores(11.5, luck=1, seed=5), other=10.0)
    own = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    alone = claim_rows(write(own), found).iloc[0]
    assert (alone["verdict"], alone["p_t_holm"]) == ("confirmed", alone["p_t"])
    rest = [own | {"arm": "other", "against": "mse"} for _ in range(30)]
    among = claim_rows(write(own, *rest), found).iloc[0]
    assert among["p_t_holm"] == pytest.approx(31 * alone["p_t"])
    assert (among["verdict"], among["low"]) == ("undecided", alone["low"])
    assert "correction" in among["why"]


def test_where_nothing_differs_claims_are_confirmed_at_most_as_rarely_as_promised(write: Callable) -> None:
    claims = write(
        *(
            {"kind": "difference", "arm": f"arm{k}", "against": "mse", "metric": "chroma", "direction": "up"}
            | {"margin": 0}
            for k in range(6)
        )
    )
    rng = np.random.default_rng(0)
    worlds, wrong = 200, 0
    weights = BootstrapWeights(300, 0)
    for _ in range(worlds):
        luck = rng.normal(0, 1, (7, 5, 1)) + rng.normal(0, 1, (7, 1, 12)) + rng.normal(0, 1, (7, 5, 12))
        arms = dict(zip(["mse", *(f"arm{k}" for k in range(6))], map(pd.DataFrame, luck), strict=True))
        found = sources(declared=list(arms), matrices={"chroma": arms}, weights=weights)
        wrong += (claim_rows(claims, found)["verdict"] == "confirmed").any()
    assert wrong / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


# -- the file, and what held before ----------------------------------------------------------------------------------


def test_a_wrong_file_is_told_in_one_line(write: Callable) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    cases = {
        "no such metric": claim | {"metric": "beauty"},
        "direction": claim | {"direction": "sideways"},
        "unknown key": claim | {"arms": ["own"]},
        "missing": {key: value for key, value in claim.items() if key != "against"},
        "kind": claim | {"kind": "opinion"},
        "margin": claim | {"margin": -1},
    }
    for expected, wrong in cases.items():
        with pytest.raises(StudyError, match=rf"ablations/claims.yaml: .*{expected}") as error:
            write(wrong)
        assert "\n" not in str(error.value)
    with pytest.raises(StudyError, match="the id 'twin' is used twice"):
        write(claim | {"id": "twin"}, claim | {"id": "twin"})


def test_without_a_file_there_are_no_claims(tmp_path: Path) -> None:
    assert load_claims(tmp_path) == []
    table = claim_rows([], sources())
    assert (len(table), list(table)) == (0, COLUMNS)


def test_the_claims_of_this_repository_name_arms_that_exist_and_cover_all_nineteen() -> None:
    claims = load_claims(REPOSITORY)
    assert {int(claim.number.rstrip("abcde")) for claim in claims} == set(range(1, 20))
    known = set(arm_names(REPOSITORY))
    for claim in claims:
        against = getattr(claim, "against", [])
        named = {getattr(claim, "arm", "mse"), *([against] if isinstance(against, str) else against)}
        named |= set(getattr(claim, "doses", {}).values())
        assert named <= known, claim.id
    assert {type(claim) for claim in claims} == set(MEASURES)


def test_every_claim_of_this_repository_gets_a_row_when_nothing_is_there() -> None:
    claims = load_claims(REPOSITORY)
    table = claim_rows(claims, sources())
    assert table["id"].tolist() == [claim.id for claim in claims]
    assert set(table["verdict"]) == {"not testable"}
    assert all(table["why"])


def test_what_held_before_and_no_longer_does(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    assert held(path) == []
    before = {"a": "confirmed", "b": "confirmed", "c": "refuted", "d": "confirmed", "e": "confirmed"}
    pd.DataFrame({"id": before.keys(), "verdict": before.values()}).to_csv(path, index=False)
    assert held(path) == ["a", "b", "d", "e"]
    after = {"a": "confirmed", "b": "undecided", "c": "confirmed", "d": "not testable"}
    now = pd.DataFrame({"id": after.keys(), "verdict": after.values()})
    assert lost(held(path), now) == ["b (undecided)", "d (not testable)", "e (gone)"]
