"""Tables of the limits: how far every arm lies above the least error at its own amount, and spread, of colour.

The base is the baseline's network of the same seed, its colours times the gain that fits best on validation pictures.
It is the best estimate of E[ab | x] at hand. Where the law of a generated world is known, it has rows of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from study import statistics as stats
from study.analysis.estimates import BootstrapWeights
from study.analysis.limits import Law, chroma_change, least_error_at_chroma, least_error_at_distance

EXACT_LAW = "exact_law"

GAIN = "gain"
"""What a loss has to beat: the base's colours times one number."""

MARGINS = {
    "excess_at_chroma": 0.01,
    "excess_at_distance": 0.01,
    "error_against_gain": 0.01,
    "distance_against_gain": 0.5,
}
"""Measure -> what is too little to matter: a hundredth of the root of the error, or half a Lab unit of distance."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Pooled:
    """Values of one network per test picture, (I,); their means are the values of the set (`study.analysis.pooled`)."""

    error: np.ndarray
    chroma: np.ndarray
    square: np.ndarray
    squared_distance: np.ndarray
    squared_distance_blocks: np.ndarray
    gray_error: np.ndarray
    true_chroma: np.ndarray

    @cached_property
    def distance(self) -> np.ndarray:
        """The distance of the set with every picture's influence on it, (I,)."""
        squared = self.squared_distance.mean()
        root = np.sqrt(max(squared, 0.0))
        return root + (self.squared_distance - squared) / (2 * root) if root > 0 else np.zeros_like(self.error)

    @cached_property
    def product(self) -> np.ndarray:
        """Mean of the dot product of prediction and truth, (I,)."""
        return self.square / 2 + self.gray_error - self.error


@dataclass(frozen=True)
class Base:
    """The rescaled network of the baseline, and what follows from it. parts, curves: see `pooled.base_facts`."""

    own: Pooled
    parts: np.ndarray
    curves: dict[str, np.ndarray]

    def at_chroma(self, chroma: np.ndarray) -> np.ndarray:
        """The least error at a mean chroma: chroma is (I,), and so is the result, with every picture's influence."""
        change = chroma_change(self.parts, self._even, float(chroma.mean()))
        least = least_error_at_chroma(self.colors, float(chroma.mean()))
        own, taken = self.own.chroma, -change
        if change >= 0:
            tilt = change * (_centered(chroma) - _centered(own))
        else:  # the picture's mean chroma stands for its pixels
            cost = np.where(own > taken, taken * own - taken**2 / 2, own**2 / 2)
            tilt = _centered(cost) - taken * _centered(chroma)
        return self.own.error + least + tilt

    def at_distance(self, distance: np.ndarray) -> np.ndarray:
        """The least error at a distance, (I,) in and out."""
        gap = max(self.own.distance.mean() - distance.mean(), 0.0)
        return self.own.error + gap**2 / 2 + gap * (_centered(self.own.distance) - _centered(distance))

    def scaled_to_chroma(self, chroma: np.ndarray) -> np.ndarray:
        """The error of the base's colours times the one number that gives this mean chroma, (I,) in and out."""
        mean = max(self.own.chroma.mean(), 1e-9)
        gain = chroma.mean() / mean
        by_gain = gain * self.own.square.mean() - self.own.product.mean()
        change = _centered(chroma) / mean - gain * _centered(self.own.chroma) / mean
        return self._scaled(gain) + by_gain * change

    def scaled_to_error(self, error: np.ndarray) -> np.ndarray:
        """The least distance of the base's colours times one number whose error is no larger, (I,) in and out.

        An error below that of every number counts as the least of them. The influence of a picture on the colours of
        the base is left out. It would make the difference to an arm less noisy.
        """
        gains = np.linspace(0, self.curves[GAIN][-1, 0], 2001)
        errors = gains**2 * self.own.square.mean() / 2 - gains * self.own.product.mean() + self.own.gray_error.mean()
        distances = np.interp(gains, self.curves[GAIN][:, 0], self.curves[GAIN][:, 2])

        def least(most: float) -> int:
            return int(np.argmin(np.where(errors <= max(most, errors.min()), distances, np.inf)))

        mean = float(error.mean())
        chosen = least(mean)
        step = 0.01 * errors.min()
        slope = (distances[least(mean + step)] - distances[least(mean - step)]) / (2 * step)
        return distances[chosen] + slope * (_centered(error) - _centered(self._scaled(gains[chosen])))

    def _scaled(self, gain: float) -> np.ndarray:
        return gain**2 * self.own.square / 2 - gain * self.own.product + self.own.gray_error

    @cached_property
    def colors(self) -> np.ndarray:
        return np.stack([self.parts, np.zeros_like(self.parts)], axis=1)

    @cached_property
    def _even(self) -> np.ndarray:
        return np.full(len(self.parts), 1 / len(self.parts))


@dataclass(frozen=True)
class PooledScores:
    """What `study evaluate` kept: arm -> seed -> values, the base of every seed, and the floor."""

    arms: dict[str, dict[int, Pooled]]
    bases: dict[int, Base]
    floor: float

    @classmethod
    def of(cls, rows: pd.DataFrame, names: Iterable[str], baseline: str, facts: Mapping[str, Any]) -> PooledScores:
        """From the pooled rows of all arms (arm, seed, image, metric, value) and `pooled.base_facts` by seed."""
        wide = rows.pivot(index=["arm", "seed", "image"], columns="metric", values="value")
        arms: dict[str, dict[int, Pooled]] = {name: {} for name in names}
        bases = {}
        for (arm, seed), own in wide.groupby(level=["arm", "seed"]):
            arms[arm][int(seed)] = _pooled(own, "")
            noted = facts["seeds"].get(str(seed)) if arm == baseline else None
            if noted:
                curves = {name: np.array(curve, dtype=float) for name, curve in noted["curves"].items()}
                bases[int(seed)] = Base(_pooled(own, "base_"), np.array(noted["chroma"]), curves)
        return cls(arms, bases, facts["floor"])

    def pairs(self, arm: str) -> list[tuple[int, Pooled, Base]]:
        """The seeds that the arm shares with the baseline, with the values of both."""
        return [(seed, own, self.bases[seed]) for seed, own in self.arms.get(arm, {}).items() if seed in self.bases]


def limit_rows(pooled: PooledScores, spreads: Mapping[tuple[str, int], float], law: Law | None) -> list[Row]:
    """Rows of limits.csv: every network, and the exact law where it is known.

    spreads: (arm, seed) -> spread of the predicted colours inside a region.
    """
    rows = []
    for arm in pooled.arms:
        for seed, own, base in pooled.pairs(arm):
            at_chroma, at_distance = base.at_chroma(own.chroma).mean(), base.at_distance(own.distance).mean()
            rows.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "error": own.error.mean(),
                    "chroma": own.chroma.mean(),
                    "ab_distance": own.distance.mean(),
                    "least_error_at_chroma": at_chroma,
                    "least_error_at_distance": at_distance,
                    "excess_at_chroma": np.sqrt(own.error.mean() / at_chroma) - 1,
                    "excess_at_distance": np.sqrt(own.error.mean() / at_distance) - 1,
                    "ab_distance_blocks": np.sqrt(max(own.squared_distance_blocks.mean(), 0.0)),
                    "floor": pooled.floor,
                    "region_spread": spreads.get((arm, seed)),
                }
            )
    if law is not None:
        exact = {"arm": EXACT_LAW, "error": law.error, "chroma": law.chroma, "ab_distance": law.distance}
        exact |= {"least_error_at_chroma": law.error, "least_error_at_distance": law.error, "floor": 0.0}
        exact |= {"excess_at_chroma": 0.0, "excess_at_distance": 0.0, "region_spread": 0.0}
        rows += [exact | {"seed": seed} for seed in pooled.bases]
    return rows


def arm_rows(pooled: PooledScores, baseline: str, law: Law | None, weights: BootstrapWeights) -> list[Row]:
    """Rows of limits_arms.csv: means with intervals, paired differences with verdicts, and the prices of colour.

    Holm's family is the arms that are compared on the same measure with the same thing.
    """
    own = {arm: _stacked(pooled.pairs(arm)) for arm in pooled.arms if pooled.pairs(arm)}
    rows = [
        _estimate(arm, name, values, weights)
        for arm, found in own.items()
        for name, values in found.items()
        if not name.endswith("_against_gain")
    ]
    for name in ("excess_at_chroma", "excess_at_distance"):
        rows += _judged(name, baseline, _differences(pooled, own, name, baseline), weights)
    for name in ("error_against_gain", "distance_against_gain"):
        rows += _judged(name, GAIN, {arm: found[name] for arm, found in own.items()}, weights)
    prices = {
        "price_of_chroma": [_price(base, base.at_chroma(base.own.true_chroma)) for base in pooled.bases.values()],
        "price_of_distance": [_price(base, base.at_distance(0 * base.own.error)) for base in pooled.bases.values()],
    }
    rows += [_estimate(baseline, name, np.stack(values), weights) for name, values in prices.items() if values]
    if law is not None:
        exact = {
            "price_of_chroma": np.sqrt(law.error_at_chroma(law.true_chroma) / law.error) - 1,
            "price_of_distance": np.sqrt(least_error_at_distance(law.error, law.distance, 0) / law.error) - 1,
        }
        rows += [{"arm": EXACT_LAW, "measure": name, "mean": value} for name, value in exact.items()]
    return rows


def curve_rows(pooled: PooledScores, law: Law | None, strengths: Mapping[str, float] | None = None) -> list[Row]:
    """Rows of limit_curves.csv, means over the seeds: both limits, and what a gain or a lift make of the base.

    strengths: arm -> strength of its transport. These arms, and the baseline, are the points of the curve "transport".
    """
    bases = list(pooled.bases.values())
    if not bases:
        return []
    top = 1.3 * float(bases[0].own.true_chroma.mean())
    chromas, shares = np.linspace(0, top, 27), np.linspace(0, 1, 21)
    rows = []
    for chroma in chromas:
        errors = [base.own.error.mean() + least_error_at_chroma(base.colors, chroma) for base in bases]
        rows.append(_point("chroma_limit", chroma, chroma, None, np.mean(errors)))
    starts = [(base.own.error.mean(), base.own.distance.mean()) for base in bases]
    rows += [_way("distance_limit", share, starts) for share in shares]
    for name in dict.fromkeys(name for base in bases for name in base.curves):
        curves = np.mean([base.curves[name] for base in bases if name in base.curves], axis=0)
        rows += [_point(name, *curve) for curve in curves]
    for arm, strength in sorted((strengths or {}).items(), key=lambda one: one[1]):
        own = [one for _, one, _ in pooled.pairs(arm)]
        if own:
            means = [np.mean([getattr(one, name).mean() for one in own]) for name in ("chroma", "distance", "error")]
            rows.append(_point("transport", strength, *means))
    if law is not None:
        rows += [_point("chroma_limit_exact", one, one, None, law.error_at_chroma(one)) for one in chromas]
        rows += [_way("distance_limit_exact", share, [(law.error, law.distance)]) for share in shares]
    return rows


def calibration_rows(pooled: PooledScores) -> list[Row]:
    """Rows of calibration.csv: how much of gray's squared error a network removes, and the gain that would be best."""
    return [
        {
            "arm": arm,
            "seed": seed,
            "share_removed": 1 - own.error.mean() / own.gray_error.mean(),
            "gain": own.product.mean() / own.square.mean() if own.square.mean() > 0 else None,
        }
        for arm, seeds in pooled.arms.items()
        for seed, own in seeds.items()
    ]


def _pooled(rows: pd.DataFrame, prefix: str) -> Pooled:
    own = [f"{prefix}{name}" for name in ("error", "chroma", "square", "distance", "distance_blocks")]
    return Pooled(*(rows[name].to_numpy() for name in (*own, "gray_error", "true_chroma")))


def measures(own: Pooled, base: Base) -> dict[str, np.ndarray]:
    """Measure -> (I,): the value of one network on the set, with every picture's influence on it."""
    return {
        "error": own.error,
        "chroma": own.chroma,
        "ab_distance": own.distance,
        "excess_at_chroma": _excess(own.error, base.at_chroma(own.chroma)),
        "excess_at_distance": _excess(own.error, base.at_distance(own.distance)),
        "error_against_gain": _excess(own.error, base.scaled_to_chroma(own.chroma)),
        "distance_against_gain": own.distance - base.scaled_to_error(own.error),
    }


def _stacked(pairs: list[tuple[int, Pooled, Base]]) -> dict[str, np.ndarray]:
    """Measure -> (S, I)."""
    found = [measures(own, base) for _, own, base in pairs]
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def _excess(error: np.ndarray, least: np.ndarray) -> np.ndarray:
    """sqrt(error / least) - 1 of the means, with every picture's influence."""
    ratio = error.mean() / least.mean()
    return np.sqrt(ratio) - 1 + np.sqrt(ratio) / 2 * (_centered(error) / error.mean() - _centered(least) / least.mean())


def _price(base: Base, least: np.ndarray) -> np.ndarray:
    return _excess(least, base.own.error)


def _centered(values: np.ndarray) -> np.ndarray:
    return values - values.mean()


def _differences(
    pooled: PooledScores, own: dict[str, dict[str, np.ndarray]], name: str, baseline: str
) -> dict[str, np.ndarray]:
    """Arm -> a measure minus that of the baseline on the same seeds, (S, I)."""
    at = {seed: k for k, (seed, _, _) in enumerate(pooled.pairs(baseline))}
    return {
        arm: found[name] - own[baseline][name][[at[seed] for seed, _, _ in pooled.pairs(arm)]]
        for arm, found in own.items()
        if arm != baseline
    }


def _estimate(arm: str, name: str, values: np.ndarray, weights: BootstrapWeights) -> Row:
    mean, low, high = (float(part[0]) for part in stats.interval(values[None], weights(*values.shape)))
    return {"arm": arm, "measure": name, "mean": mean, "low": low, "high": high, "seeds": len(values)}


def _judged(name: str, against: str, values: dict[str, np.ndarray], weights: BootstrapWeights) -> list[Row]:
    """Rows with a verdict; less is better."""
    p = {arm: float(stats.interval_p(one[None])[0]) for arm, one in values.items()}
    corrected = dict(zip(values, stats.holm(np.array(list(p.values()))), strict=True))
    rows = []
    for arm, one in values.items():
        row = _estimate(arm, name, one, weights) | {"against": against, "p_t": p[arm], "p_t_holm": corrected[arm]}
        for column, factor in (("verdict_half_margin", 0.5), ("verdict", 1), ("verdict_double_margin", 2)):
            interval = row["mean"], row["low"], row["high"]
            row[column] = stats.verdict(*interval, factor * MARGINS[name], -1, float(corrected[arm]))
        rows.append(row)
    return rows


def _point(curve: str, parameter: float, chroma: float | None, distance: float | None, error: float) -> Row:
    return {"curve": curve, "parameter": parameter, "chroma": chroma, "ab_distance": distance, "error": error}


def _way(curve: str, share: float, starts: list[tuple[float, float]]) -> Row:
    """The limit at a distance, this share of the way from f to the truth; means over the seeds' starts."""
    errors = [least_error_at_distance(error, distance, (1 - share) * distance) for error, distance in starts]
    return _point(curve, share, None, float(np.mean([(1 - share) * d for _, d in starts])), float(np.mean(errors)))
