"""Training and scoring together: what is trained already is not trained again, and what diverged has no scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from study.config.arms import Arm, load_arm
from study.search.objectives import METRICS
from study.search.scoring import Scorer
from tests.search.conftest import make_project

WILD = """
from study.losses import Loss, register


@register("wild")
class Wild(Loss):
    terms = {"calm": 1.0, "wild": 1.0}

    def compute(self, prediction, target):
        calm = (prediction - target).square().mean()
        return {"calm": calm, "wild": calm * (1e30 if self.weights["wild"] > 1 else 1.0) ** 3}
"""


def test_networks_are_scored_once_trained_and_diverged_ones_are_not(tmp_path: Path) -> None:
    own = make_project(tmp_path / "scored")
    (own.root / "ablations" / "losses" / "wild.py").write_text(WILD)
    wild = {"name": "wild", "weights": {"calm": 1.0, "wild": 5.0}, "file": "ablations/losses/wild.py"}
    arms = [load_arm(own.root, "mse"), Arm.model_validate({"name": "wild", "description": "overflows", "loss": wild})]
    train = own.study("tiny").train.model_copy(update={"images": 32, "validations": 1})
    scorer = Scorer(own, "tiny", jobs=1)
    assert scorer.pace is None
    _, (calm, lost) = scorer.train_and_score([(arm, 0) for arm in arms], train)
    assert lost is None
    assert set(METRICS) | {"diversity"} == set(calm)
    assert all(values.shape == (16,) for values in calm.values())
    assert scorer.pace > 0
    before = {path: path.stat().st_mtime_ns for path in own.store.folder.rglob("*")}
    again = Scorer(own, "tiny", jobs=1)
    _, (same,) = again.train_and_score([(arms[0], 0)], train)
    assert {path: path.stat().st_mtime_ns for path in own.store.folder.rglob("*")} == before
    assert all(np.array_equal(same[name], calm[name]) for name in calm)
    assert again.pace is None
