"""Study metadata: which code made it, what averaging would paint, and what threatens the verdicts."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from study.analysis.metadata import (
    casts_of_averages,
    processors,
    revision,
    threats,
    training_seconds,
    wrong_verdicts,
)
from study.data.color_distribution import ColorDistribution
from study.statistics import FEWEST_IMAGES


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("changed", ["params.yaml", "study/losses/new.py", "ablations/own.yaml"])
def test_the_revision_is_the_commit_and_tells_of_changed_code_and_settings_alone(tmp_path: Path, changed: str) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "params.yaml").write_text("one: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "arms.csv").write_text("written by the pipeline itself")
    assert revision(tmp_path) == commit
    (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / changed).write_text("another")
    assert revision(tmp_path) == f"{commit} with uncommitted changes"


def test_outside_a_checkout_the_revision_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revision(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert revision(tmp_path) == "unknown"


@dataclass
class World:
    """Gray test pictures of one kind of region whose colour is one of two, equally likely."""

    modes: tuple[tuple[float, float], tuple[float, float]]

    @property
    def color_distribution(self) -> ColorDistribution:
        return ColorDistribution(("car",), np.array([self.modes], np.float32), np.array([[0.5, 0.5]], np.float32))

    def regions(self, split: str) -> np.ndarray:
        return np.zeros((3, 8, 8), np.uint8)

    def images(self, split: str) -> np.ndarray:
        return np.full((3, 8, 8, 3), 128, np.uint8)


def test_casts_are_those_of_the_average_colour() -> None:
    def weight(hue: float, middle: float) -> float:
        return np.cos(2 * (hue - np.radians(middle)))

    brown = World(((50.0, 20.0), (-40.0, 10.0)))  # red and green: the average is (5, 15), chroma 15.8 at 72 degrees
    assert casts_of_averages(brown) == pytest.approx(
        {"sepia_cast": np.hypot(5, 15) * weight(np.arctan2(15, 5), 65), "purple_cast": 0}, abs=1e-4
    )
    purple = World(((60.0, 0.0), (-40.0, -10.0)))  # the average is (10, -5), at 333 degrees
    assert casts_of_averages(purple) == pytest.approx(
        {"sepia_cast": 0, "purple_cast": np.hypot(10, 5) * weight(np.arctan2(-5, 10), 315)}, abs=1e-4
    )


def test_wrong_verdicts_are_those_of_the_worst_simulated_world(tmp_path: Path) -> None:
    file = tmp_path / "coverage.csv"
    assert wrong_verdicts(file) is None
    file.write_text("scenario,calm,wrong_family\na,1,0.02\nb,1,0.05\nc,0.1,0.14\nd,0.1,0.15\n")
    assert wrong_verdicts(file) == {"alike": 0.05, "unlike": 0.15}


def test_training_time_counts_a_network_once_and_controls_not_at_all() -> None:
    records = [
        {"signature": "a", "seconds": 10.0, "arm_settings": {"control": None}},
        {"signature": "a", "seconds": 10.0, "arm_settings": {}},  # the same network, decoded in another way
        {"signature": "b", "seconds": 5.0, "arm_settings": {"control": None}},
        {"signature": "c", "seconds": 10.0, "arm_settings": {"control": {"of": "mse", "match": "gray"}}},
    ]
    assert training_seconds(records) == 15.0


def test_few_test_pictures_are_a_threat_with_a_name() -> None:
    assert threats({"ab_rmse": 400, "auc": FEWEST_IMAGES}) == []
    (threat,) = threats({"ab_rmse": 400, "auc": 3, "ssim": 1})
    assert (threat["name"], threat["pictures"], threat["least"]) == ("few_pictures", 1, FEWEST_IMAGES)
    assert threat["metrics"] == ["auc", "ssim"]


def test_networks_are_counted_by_the_kind_of_processor_that_trained_them() -> None:
    records = [
        {"signature": "a", "environment": {"processor": "x86_64 AVX2"}, "arm_settings": {}},
        {"signature": "a", "environment": {"processor": "x86_64 AVX2"}, "arm_settings": {}},
        {"signature": "b", "environment": {"processor": "arm64 DEFAULT"}, "arm_settings": {"control": None}},
        {"signature": "c", "environment": {}, "arm_settings": {}},  # trained by an earlier version
        {"signature": "d", "environment": {"processor": "s390x"}, "arm_settings": {"control": {"of": "mse"}}},
    ]
    assert processors(records) == {"arm64 DEFAULT": 1, "unknown": 1, "x86_64 AVX2": 1}
