"""Pictures chosen by score: where two arms differ most, both ways, and the best, median and worst of each arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.color import rgb2lab

from study.report.pictures import Tile, png
from study.report.result import StudyResult
from study.report.telling import published_arm, recommended_arm

EACH = 4  # pictures each way
FEWEST = 8  # kept pictures below which choosing by score says nothing
MOST_ARMS = 30


@dataclass(frozen=True)
class Choice:
    """One picture with the errors (ab RMSE, Lab units) of the arms shown beside the truth."""

    image: str
    tiles: tuple[Tile, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Duel:
    """Two arms: the pictures on which the first is better by most, and those on which the second is."""

    first: str
    second: str
    for_first: tuple[Choice, ...]
    for_second: tuple[Choice, ...]
    wins: int  # pictures on which the first is better
    of: int


@dataclass(frozen=True)
class Spread:
    """Best, median and worst picture of one arm."""

    arm: str
    choices: tuple[Choice, Choice, Choice]


class Chooser:
    """Errors of the kept pictures, worked out arm by arm when asked for."""

    def __init__(self, result: StudyResult) -> None:
        self.result = result
        self.errors: dict[str, dict[str, float]] = {}
        self.truths: list[tuple[np.ndarray, np.ndarray]] = []

    @property
    def arms(self) -> list[str]:
        """Arms with enough kept test pictures to choose from, in the order in which arms are shown."""
        if self.result.facts.get("pictures") == "showcase":
            return []
        pictures = self.result.pictures
        return [name for name in self.result.looks if name in pictures and len(pictures[name].names) >= FEWEST]

    def of(self, arm: str) -> dict[str, float]:
        """Picture -> ab RMSE of an arm: the root of the mean squared error over pixels and both channels."""
        if arm not in self.errors:
            own = self.result.pictures[arm]
            error = rgb2lab(own.prediction)[..., 1:] - self._true_ab(own.truth)
            values = np.sqrt(np.square(error).mean(axis=(1, 2, 3)))
            self.errors[arm] = dict(zip(own.names, values.tolist(), strict=True))
        return self.errors[arm]

    def _true_ab(self, truth: np.ndarray) -> np.ndarray:
        """Arms of one study share their truth: it is converted once."""
        for known, ab in self.truths:
            if np.array_equal(known, truth):
                return ab
        self.truths.append((truth, rgb2lab(truth)[..., 1:]))
        return self.truths[-1][1]

    def choice(self, image: str, arms: tuple[str, ...]) -> Choice:
        """The truth and what each arm made of one picture."""
        first = self.result.pictures[arms[0]]
        tiles = [Tile(png(first.truth[first.names.index(image)]))]
        for arm in arms:
            own = self.result.pictures[arm]
            tiles.append(Tile(png(own.prediction[own.names.index(image)])))
        return Choice(image, tuple(tiles), tuple(self.of(arm)[image] for arm in arms))


def pairs(result: StudyResult, arms: list[str]) -> list[tuple[str, str]]:
    """Which arms to set against each other: the recommended and the published against the baseline, the recommended
    against the gain that it has to beat and against classification."""
    recommended, published = recommended_arm(result), published_arm(result)
    classification = next((arm.name for arm in result.shown if arm.loss == "classification"), None)
    wanted = [
        (recommended, result.baseline),
        (published.name if published else None, result.baseline),
        (recommended, result.gain_control),
        (recommended, classification),
        (classification, result.baseline),
    ]
    found: list[tuple[str, str]] = []
    for one, other in wanted:
        known = one in arms and other in arms and one != other
        if known and (one, other) not in found and (other, one) not in found:
            found.append((one, other))
    return found[:4]


def duels(chooser: Chooser) -> list[Duel]:
    """The pictures on which two arms differ most, both ways."""
    found = []
    for first, second in pairs(chooser.result, chooser.arms):
        one, other = chooser.of(first), chooser.of(second)
        gain = {image: other[image] - one[image] for image in one if image in other}
        if len(gain) < FEWEST:
            continue
        order = sorted(gain, key=lambda image: (-gain[image], image))
        wins = [image for image in order if gain[image] > 0][:EACH]
        losses = [image for image in reversed(order) if gain[image] < 0][:EACH]
        both = (first, second)
        found.append(
            Duel(
                first, second,
                tuple(chooser.choice(image, both) for image in wins),
                tuple(chooser.choice(image, both) for image in losses),
                sum(value > 0 for value in gain.values()), len(gain),
            )
        )  # fmt: skip
    return found


def spreads(chooser: Chooser) -> list[Spread]:
    """Best, median and worst picture of every arm by ab RMSE."""
    found = []
    for arm in chooser.arms[:MOST_ARMS]:
        errors = chooser.of(arm)
        order = sorted(errors, key=lambda image: (errors[image], image))
        told = (order[0], order[len(order) // 2], order[-1])
        found.append(Spread(arm, tuple(chooser.choice(image, (arm,)) for image in told)))
    return found
