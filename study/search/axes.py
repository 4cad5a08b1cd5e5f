"""A searched number: the values it may take, and where they lie on its logarithmic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

# Zero has no logarithm. A weight that may be 0 is searched on a scale that goes on below `low` by this share of its
# length, and all of that end means 0.
ZERO_END = 0.25
WIDEST_STEP = 1.35  # between neighbours of `fine`
FEWEST = 6  # values with one significant digit; a narrower range gets a second digit


@dataclass(frozen=True)
class Axis:
    """A number from `low` to `high`, and 0 too where `zero` says so.

    Its values have one significant digit, because repeated searches move the second one. A range with fewer than six
    such values has two digits.
    """

    low: float
    high: float
    zero: bool = False

    @cached_property
    def values(self) -> np.ndarray:
        """All values that are tried, in ascending order."""
        found = _values(self.low, self.high, 1)
        if len(found) < FEWEST:
            found = _values(self.low, self.high, 2) or [self.low, self.high]
        return np.array([0.0, *found] if self.zero else found)

    @cached_property
    def fine(self) -> np.ndarray:
        """The tried values, and others between them where they lie far apart, as 1 and 2 do."""
        known = self.values[self.values > 0]
        parts = [np.array([0.0])] if self.zero else []
        for low, high in pairwise(known):
            count = math.ceil(math.log(high / low) / math.log(WIDEST_STEP))
            parts.append(np.geomspace(low, high, count, endpoint=False))
        return np.concatenate([*parts, known[-1:]])

    def thinned(self, count: int) -> np.ndarray:
        """At most `count` of the fine or the tried values, spread evenly over the logarithmic scale."""
        if len(self.fine) <= count:
            return self.fine
        return np.unique(self.nearest(np.geomspace(self.bottom, self.high, count)))

    @property
    def bottom(self) -> float:
        """Lower end of the scale with the part that means 0."""
        return self.low * (self.low / self.high) ** ZERO_END if self.zero else self.low

    def log(self, values: np.ndarray) -> np.ndarray:
        """Natural logarithm of values; 0 lies in the middle of the part that means it."""
        values = np.asarray(values, dtype=float)
        return np.log(np.where(values > 0, values, math.sqrt(self.low * self.bottom)))

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The tried values that are nearest on the logarithmic scale; 0 for what lies below `low`, where allowed."""
        values = np.asarray(values, dtype=float)
        known = self.values[self.values > 0]
        borders = (np.log(known[1:]) + np.log(known[:-1])) / 2
        found = known[np.searchsorted(borders, self.log(values))]
        return np.where(self.zero & (values < self.low), 0.0, found)


def _values(low: float, high: float, digits: int) -> list[float]:
    """Numbers of so many significant digits from low to high."""
    exponents = range(math.floor(math.log10(low)) - digits, math.floor(math.log10(high)) + 1)
    numbers = (float(f"{lead}e{exponent}") for exponent in exponents for lead in range(10 ** (digits - 1), 10**digits))
    return sorted({number for number in numbers if low <= number <= high})
