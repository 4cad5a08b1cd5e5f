"""The ranking at half and twice the training: which studies are beside each other, and who is where."""

from __future__ import annotations

import pandas as pd

from study.analysis.length_variants import length_variants
from study.analysis.lengths import length_table
from study.analysis.schemas import METRICS
from study.analysis.summaries import metric_rows
from study.config.params import Params
from tests.conftest import TINY_STUDY

CHOSEN = METRICS.frame(row for row in metric_rows() if row["metric"] in ("ab_rmse", "psnr", "chroma_ratio", "chroma"))


def params(**changes: dict) -> Params:
    """A `main` study and others, each with changes to its blocks."""
    studies = {"main": TINY_STUDY} | {
        name: {**TINY_STUDY, **{k: {**TINY_STUDY[k], **v} if isinstance(v, dict) else v for k, v in change.items()}}
        for name, change in changes.items()
    }
    return Params.model_validate(
        {"pipeline": {"studies": ["main"], "arms": ["mse"], "baseline": "mse"}, "studies": studies}
    )


def table(means: dict[str, dict[str, float]]) -> pd.DataFrame:
    rows = [
        {"study": "?", "arm": arm, "metric": metric, "mean": mean, "low": mean - 1, "high": mean + 1, "seeds": 3}
        for metric, by_arm in means.items()
        for arm, mean in by_arm.items()
    ]
    return pd.DataFrame(rows)


def test_length_variants_differ_in_the_number_of_training_pictures_alone() -> None:
    found = params(
        double={"train": {"images": 512, "validations": 4, "log_every": 8}, "seeds": [5]},
        half={"train": {"images": 128}, "arms": ["mse"]},
        other_arms={"arms": ["mse"]},
        other_rate={"train": {"images": 128, "learning_rate": 1e-3}},
        other_data={"train": {"images": 128}, "data": {"seed": 2}},
    )
    assert length_variants(found, "main") == ["half", "double"]
    assert length_variants(found, "half") == ["main", "other_arms", "double"]
    assert length_variants(found, "other_data") == []


def test_ranks_follow_each_metrics_direction() -> None:
    own = table(
        {
            "ab_rmse": {"mse": 19.0, "zhang": 20.0, "full": 19.0},
            "psnr": {"mse": 30.0, "zhang": 31.0, "full": 29.0},
            "chroma_ratio": {"mse": 0.7, "zhang": 1.2, "full": 0.9},
            "chroma": {"mse": 20.0, "zhang": 30.0, "full": 25.0},
        }
    )
    rows = length_table("main", 100, own, {"double": (200, own)}, CHOSEN)
    assert len(rows) == 2 * len(own)
    ranks = rows[rows["study"] == "main"].pivot(index="arm", columns="metric", values="rank")
    assert ranks["ab_rmse"].to_dict() == {"mse": 1, "full": 1, "zhang": 3}
    assert ranks["psnr"].to_dict() == {"zhang": 1, "mse": 2, "full": 3}
    assert ranks["chroma_ratio"].to_dict() == {"full": 1, "zhang": 2, "mse": 3}
    assert ranks["chroma"].isna().all()


def test_only_arms_of_all_lengths_are_ranked_in_order_of_length() -> None:
    own = table({"ab_rmse": {"mse": 19.0, "dose": 18.0, "zhang": 20.0}})
    half = table({"ab_rmse": {"zhang": 21.0, "mse": 22.0}})
    double = table({"ab_rmse": {"mse": 18.0, "zhang": 19.0, "new": 1.0}})
    rows = length_table("main", 100, own, {"double": (200, double), "half": (50, half)}, CHOSEN)
    assert list(zip(rows["images"], rows["study"], rows["arm"], rows["rank"], strict=True)) == [
        (50, "half", "mse", 2),
        (50, "half", "zhang", 1),
        (100, "main", "mse", 1),
        (100, "main", "zhang", 2),
        (200, "double", "mse", 1),
        (200, "double", "zhang", 2),
    ]
    assert rows["low"].tolist() == [mean - 1 for mean in rows["mean"]]


def test_variants_with_other_arms_do_not_empty_the_table() -> None:
    own = table({"ab_rmse": {"mse": 19.0, "zhang": 20.0}})
    families = table({"ab_rmse": {"mse": 19.0, "strong": 25.0}})
    rows = length_table("half", 50, own, {"families": (100, families), "main": (100, own)}, CHOSEN)
    assert set(rows["study"]) == {"half", "main"}
    assert len(length_table("half", 50, own, {"families": (100, families)}, CHOSEN)) == 0
    assert len(length_table("half", 50, own, {}, CHOSEN)) == 0
