"""The figure of the limits: error against amount of colour, and against the distance of its distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from study.report import plot as p
from study.report.format import number
from study.report.limits import EXACT, Limits, Spot
from study.report.plot import INK, MUTED, Plot
from study.report.result import StudyResult
from study.report.styles import Style

LINES = {
    "limit": {"color": INK, "lw": 2},
    "gain": {"color": MUTED, "lw": 1.2, "ls": (0, (4, 2))},
    "lift": {"color": MUTED, "lw": 1.2, "ls": (0, (1, 1.5))},
    "exact law": {"color": MUTED, "lw": 2},
    "transport": {"color": MUTED, "lw": 1.2, "ls": (0, (6, 2, 1, 2))},
}
"""How curves are drawn. Each panel has one limit; the others are ways to change the baseline's colours afterwards."""
ACROSS = {"chroma": "mean chroma (Lab units)", "ab_distance": "distance of the colours to the truth’s (Lab units)"}


def limits(result: StudyResult, found: Limits, styles: dict[str, Style]) -> Plot:
    """Two panels: error against chroma and against ab distance; limits as lines, arms as points with their seeds."""
    arms = [arm for arm in styles if arm in found.spots and not result.arms[arm].is_gray]
    shown = {arm: found.spots[arm] for arm in arms} | {arm: found.spots[arm] for arm in (EXACT,) if arm in found.spots}
    errors = np.array([spot.error.mean for spot in shown.values()] or [0.0])
    bottom = min([errors.min(), *(np.nanmin(found.curves[name]["error"]) for name in found.curves if "limit" in name)])
    top = min(errors.max(), 1.6 * float(np.median(errors)))
    ends = (bottom - 0.08 * (top - bottom or 1), top + 0.12 * (top - bottom or 1))
    with p.panels(760, 2, 2, height=330, key=[styles[arm] for arm in arms]) as (figure, made):
        for axes, (quantity, label) in zip(made, ACROSS.items(), strict=True):
            _panel(axes, found, shown, styles, quantity, ends)
            p.scales(axes, label, "" if quantity != "chroma" else "root of the pooled squared error (Lab units)")
        p.heading(made[0], "at this amount of colour")
        p.heading(made[1], "at this distance of the distribution")
        told = "; ".join(f"{arm} error {number(spot.error.mean, 2)}, chroma {number(spot.chroma.mean, 1)}, distance "
                         f"{number(spot.ab_distance.mean, 1)}" for arm, spot in shown.items())  # fmt: skip
        return p.finish(figure, "limits", "Arms beside the limits", f"Error against chroma and distance: {told}.")


def _panel(
    axes: Any, found: Limits, shown: dict[str, Spot], styles: dict[str, Style], quantity: str, ends: tuple[float, float]
) -> None:
    places = [getattr(spot, quantity).mean for spot in shown.values()]
    room = 0.12 * (max(places) - min(places) or 1)
    low, high = max(0.0, min(places) - room), max(places) + room
    own, named = "chroma_limit" if quantity == "chroma" else "distance_limit", {}
    for name, curve in found.curves.items():
        kind = name.removesuffix("_exact")
        if kind != own and (kind.endswith("limit") or name.endswith("_exact")):
            continue
        x, y = curve[quantity], curve["error"]
        inside = np.isfinite(x) & np.isfinite(y)
        if not inside.any():
            continue
        if name.endswith("_exact"):
            kind = "exact law"
        look = LINES["limit" if kind == own else kind]
        p.stroke(axes, x[inside], y[inside], **look, zorder=2)
        named["least error" if kind == own else kind] = look
    for place, (name, look) in enumerate(named.items()):
        left, up = 0.04, 0.96 - 0.055 * place
        p.stroke(axes, [left, left + 0.08], [up, up], **look, transform=axes.transAxes)
        p.write(axes, left + 0.1, up, name, frame=axes.transAxes, color=MUTED)
    for arm, spot in shown.items():
        x, y = getattr(spot, quantity), spot.error
        style = styles.get(arm) or Style(-1, INK, "X", "exact law")
        p.cross(axes, x, y, style)
        if arm == EXACT:
            right = x.mean > (low + high) / 2
            p.write(axes, x.mean, y.mean, style.label, shift=(-8 if right else 8, -8), ha="right" if right else "left")
    axes.set(xlim=(low, high), ylim=ends)
