"""Do the intervals cover and the verdicts keep quiet? Both on simulated scores whose true answer is known.

`python -m benchmarks.coverage` writes benchmarks/coverage.csv. Every world is a family of arms and a baseline, scored
on the same seeds and images, and no arm differs from the baseline: every "better" or "worse" is wrong. The margin of
tolerance is 0 there, the hardest case: nothing can be called within tolerance.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from study import statistics as stats

CHUNK = 50
MARGIN = 3.0
"""Margin of the test of "within tolerance", in standard errors of a difference: enough to be found when it is true."""


@dataclass(frozen=True)
class Scenario:
    """Where scores come from: score = difficulty of the image + luck of the seed + arm's way with the image + noise.

    luck, image, noise: standard deviations; the difficulty's is 3 and cancels in differences. skew: sigma of the
    lognormal that luck and image are drawn from, shifted to mean 0; None for the normal. calm: the baseline's luck as a
    share of the arms'; below 1 the skewness no longer cancels in differences.
    """

    scenario: str
    seeds: int
    images: int
    luck: float
    image: float
    noise: float
    skew: float | None = None
    arms: int = 8
    calm: float = 1.0

    def scores(self, worlds: int, rng: np.random.Generator) -> np.ndarray:
        """(worlds, arms + 1, S, I), the baseline first; all true means are 0."""
        shape = (worlds, self.arms + 1)
        difficulty = rng.normal(0, 3, (worlds, 1, 1, self.images))
        luck = self.luck * self._effects((*shape, self.seeds, 1), rng)
        luck[:, 0] *= self.calm
        image = self.image * self._effects((*shape, 1, self.images), rng)
        return difficulty + luck + image + rng.normal(0, self.noise, (*shape, self.seeds, self.images))

    def _effects(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        if self.skew is None:
            return rng.normal(size=shape)
        variance = self.skew**2
        spread = np.sqrt(np.expm1(variance) * np.exp(variance))
        return (rng.lognormal(0, self.skew, shape) - np.exp(variance / 2)) / spread

    @property
    def margin(self) -> float:
        """MARGIN standard errors of the difference of two arms."""
        own = self.luck**2 / self.seeds + self.image**2 / self.images + self.noise**2 / (self.seeds * self.images)
        return MARGIN * float(np.sqrt(2 * own))


SCENARIOS = (
    Scenario("luck of seeds", 3, 400, 1, 0, 0.5),
    Scenario("luck of seeds", 5, 400, 1, 0, 0.5),
    Scenario("luck of seeds", 6, 400, 1, 0, 0.5),
    Scenario("seeds and images alike", 3, 400, 0.1, 1.2, 1),
    Scenario("seeds and images alike", 5, 400, 0.1, 1, 1),
    Scenario("mostly seeds, some images", 5, 400, 0.2, 1, 1),
    Scenario("images", 5, 400, 0.01, 2, 1),
    Scenario("noise only", 5, 400, 0, 0, 1),
    Scenario("skewed images", 5, 400, 0.05, 2, 1, skew=1.0),
    Scenario("skewed luck of seeds", 5, 400, 1, 0, 0.5, skew=0.5),
    Scenario("twenty arms", 6, 400, 0.2, 1, 1, arms=20),
    Scenario("skewed luck of the arms alone", 5, 400, 1, 0, 0.5, skew=0.5, calm=0.1),
    Scenario("skewed luck of the arms alone", 6, 400, 1, 0, 0.5, skew=0.5, calm=0.1),
)


def simulate(scenario: Scenario, worlds: int, resamples: int, rng: np.random.Generator) -> dict[str, float]:
    """Shares over simulated worlds.

    coverage: of intervals of an arm's mean; coverage_paired: of intervals of a difference; wrong: comparisons called
    better or worse; wrong_family: families with at least one such word; wrong_equivalent: comparisons called
    within tolerance where the true difference is the margin itself.
    """
    found = []
    for start in range(0, worlds, CHUNK):
        many = min(CHUNK, worlds - start)
        scores = scenario.scores(many, rng)
        weights = stats.bootstrap_weights(scenario.seeds, scenario.images, resamples, rng)
        _, low, high = stats.interval(scores[:, 0], weights)
        covered = (low <= 0) & (high >= 0)
        deltas = (scores[:, 1:] - scores[:, :1]).reshape(-1, scenario.seeds, scenario.images)
        _, low, high = (part.reshape(many, -1) for part in stats.interval(deltas, weights))
        p = stats.interval_p(deltas).reshape(many, -1)
        corrected = np.array([stats.holm(family) for family in p])
        mean = deltas.mean(axis=(1, 2)).reshape(many, -1)
        words = np.vectorize(stats.verdict)(mean, low, high, 0.0, 1, corrected)
        wrong = words != "inconclusive"
        margin = scenario.margin
        shifted = mean + margin, low + margin, high + margin
        equivalent = np.vectorize(stats.verdict)(*shifted, margin, 1, corrected) == "within tolerance"
        found.append(
            {
                "coverage": covered.mean(),
                "coverage_paired": ((low <= 0) & (high >= 0)).mean(),
                "wrong": wrong.mean(),
                "wrong_family": wrong.any(axis=1).mean(),
                "wrong_equivalent": equivalent.mean(),
                "weight": many,
            }
        )
    table = pd.DataFrame(found)
    shares = table.drop(columns="weight")
    return shares.mul(table["weight"], axis=0).sum().div(worlds).to_dict()


def main() -> None:
    """Simulate all scenarios and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=1000, help="simulated families per scenario")
    parser.add_argument("--resamples", type=int, default=2000, help="of the two-level bootstrap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("coverage.csv"))
    given = parser.parse_args()
    command = f"python -m benchmarks.coverage --worlds {given.worlds} --resamples {given.resamples} --seed {given.seed}"
    rows = []
    for number, scenario in enumerate(SCENARIOS):
        shares = simulate(scenario, given.worlds, given.resamples, np.random.default_rng([given.seed, number]))
        settings = {"worlds": given.worlds, "resamples": given.resamples}
        rows.append(asdict(scenario) | settings | shares | {"command": command})
        told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
        print(f"{scenario.scenario}, {scenario.seeds} seeds, {scenario.arms} arms: {told}", flush=True)
    pd.DataFrame(rows).to_csv(given.out, index=False, float_format="%.4g")
    print(f"{given.out}: at {given.worlds} worlds a share of 5 % has a standard error of "
          f"{100 * np.sqrt(0.05 * 0.95 / given.worlds):.1f} points")  # fmt: skip


if __name__ == "__main__":
    main()
