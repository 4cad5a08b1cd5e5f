"""The card of a metric, what it says about itself, and the decorator that puts one on a function.

A metric is declared once, on the function that computes it:

    @metric(unit="Lab", better="lower", margin=0.25, says="...", weakness="...")
    def ab_rmse(pred_ab, target_ab, mask=None): ...

`study.metrics.registry` finds it, `study evaluate` scores it, and every table and report lists it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

from torch import Tensor

from study.metrics.inputs import INPUTS


@dataclass(frozen=True)
class Metric:
    """How to read one column of scores, and how to compute it.

    name      the name in every table
    unit      unit of the value, "1" for pure numbers
    low, high smallest and largest possible value, may be infinite
    better    "higher", "lower", "target" (the nearer to `target` the better), or None: no direction is better, the
              value is read beside the truth's
    target    the value to aim at when better == "target", else None
    margin    tolerance, in `unit`: two arms are "within tolerance" when their difference lies in -margin..+margin.
              All margins were declared before any run. Where there is a just-noticeable difference (JND, about 2.3 in
              CIE76 units and 1 in CIEDE2000 units) they are a fraction of it: a tenth for ab_rmse, a quarter for
              CIEDE2000, a fifth for chroma, a third for AuC (0.005 * 150 = 0.75 Lab units). Colorfulness has a
              fifteenth of the step between its verbal categories (about 15 points); shares, ratios and indices
              between 0 and 1 have two or three hundredths; PSNR, SSIM and LPIPS the last digit that papers print.
    says      one line: what it is
    weakness  one line: how it can mislead
    key       place among the metrics that a report shows first (1: the very first); None: not among them
    regions   for which kinds of region it is measured too: "all", "several colours" (kinds with more than one
              possible colour), or None
    ratio_of_sums  True: the value of a set is a ratio of two sums over its pictures. The score of one picture is then
              its influence on that ratio: means and intervals of such scores hold, a single one says nothing.
    function  computes it: inputs by name -> one value per image, (N,)
    takes     the inputs that `function` can be given, names of INPUTS
    needs     those of them that it cannot do without
    """

    name: str
    unit: str
    low: float
    high: float
    better: Literal["higher", "lower", "target"] | None
    target: float | None
    margin: float
    says: str
    weakness: str
    key: int | None
    regions: Literal["all", "several colours"] | None
    ratio_of_sums: bool
    function: Callable[..., Tensor] = field(repr=False)
    takes: tuple[str, ...]
    needs: tuple[str, ...]

    def __post_init__(self) -> None:
        if (self.better == "target") != (self.target is not None):
            raise ValueError(f"metric {self.name}: better='target' and target=... belong together")
        if unknown := [name for name in self.needs if name not in INPUTS]:
            raise ValueError(f"metric {self.name}: no such input {unknown[0]!r}; it can take {', '.join(INPUTS)}")

    def measurable(self, inputs: Mapping[str, Any]) -> bool:
        """Whether all that it needs is among `inputs`."""
        return all(name in inputs for name in self.needs)

    def measure(self, inputs: Mapping[str, Any], mask: Tensor | None = None) -> Tensor:
        """One value per image, (N,). mask: boolean (N, H, W), pixels that count."""
        given = {name: inputs[name] for name in self.takes if name in inputs}
        return self.function(**given) if mask is None else self.function(**given, mask=mask)


def metric(
    name: str | None = None,
    *,
    unit: str,
    margin: float,
    says: str,
    weakness: str,
    better: Literal["higher", "lower", "target"] | None = None,
    target: float | None = None,
    low: float = 0.0,
    high: float = inf,
    key: int | None = None,
    regions: Literal["all", "several colours"] | None = None,
    ratio_of_sums: bool = False,
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Declare the decorated function a metric. It stays as it is, but for its attribute `card`, a `Metric`.

    name: in tables; the function's own name if not given. The other arguments are fields of `Metric`. What the function
    needs is read from its signature: a parameter called like an entry of INPUTS gets that input. One without a default
    must be called so, and the metric is measured only where that input exists.
    Raises ValueError for a required parameter that is no input, and for a target without better="target".
    """

    def declare(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        parameters = inspect.signature(function).parameters
        function.card = Metric(
            name=name or function.__name__,
            unit=unit,
            low=low,
            high=high,
            better=better,
            target=target,
            margin=margin,
            says=says,
            weakness=weakness,
            key=key,
            regions=regions,
            ratio_of_sums=ratio_of_sums,
            function=function,
            takes=tuple(one for one in parameters if one in INPUTS),
            needs=tuple(one for one, parameter in parameters.items() if parameter.default is inspect.Parameter.empty),
        )
        return function

    return declare
