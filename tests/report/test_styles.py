"""Colours and marks of arms: families, and colours that can be told apart, also by the colour-blind and in the dark."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from study.report.plot import DARK_TONES, TONES, themed
from study.report.result import Arm
from study.report.styles import (
    BASELINE_COLOR,
    COLORS,
    DARK,
    MARKER_PATHS,
    ON_DARK,
    arm_styles,
    muted,
    short,
    term_colors,
)

# Severe deficiencies as matrices on linear RGB (Machado, Oliveira and Fernandes 2009).
VISIONS = {
    "full": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                        [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                        [-0.01182, 0.04294, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                        [0.004733, 0.691367, 0.3039]]),
}  # fmt: skip


def linear(color: str) -> np.ndarray:
    srgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", [(*COLORS, BASELINE_COLOR), ON_DARK], ids=["light", "dark"])
def test_colours_of_losses_differ_for_every_kind_of_vision(palette, vision):
    seen = []
    for color in palette:
        rgb = (VISIONS[vision] @ linear(color)).clip(0, 1)
        srgb = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
        seen.append(rgb2lab(srgb[None, None])[0, 0])
    assert min(deltaE_ciede2000(one, other) for one, other in combinations(seen, 2)) > (
        13 if palette != ON_DARK else 10
    )


def test_colours_stand_out_on_both_papers():
    assert min(contrast(color, TONES["paper"]) for color in (*COLORS, BASELINE_COLOR)) > 2.2
    assert min(contrast(color, DARK_TONES["paper"]) for color in ON_DARK) > 3
    for tones in (TONES, DARK_TONES):
        assert contrast(tones["ink"], tones["paper"]) > 7 and contrast(tones["muted"], tones["paper"]) > 4.5


def test_every_colour_of_an_arm_has_one_for_the_dark():
    assert set(DARK) == {*COLORS, BASELINE_COLOR, *map(muted, (*COLORS, BASELINE_COLOR))}
    assert themed(f"fill: {COLORS[0]}") == f"fill: var(--arm-{COLORS[0][1:]}, {COLORS[0]})"


def test_families_follow_from_the_settings():
    weights = {"lab": 1.0, "confidence": 1.0}
    arms = [
        Arm("mse", loss="mse"), Arm("ours", loss="ours", weights=weights),
        Arm("ours_double", loss="ours", weights=weights | {"confidence": 2.0}),
        Arm("ours_tuned", loss="ours", weights=weights, tuned={"family": "ours"}),
        Arm("gain", loss="mse", control={"of": "mse", "match": "truth"}),
    ]  # fmt: skip
    found = arm_styles(arms, "mse")
    assert list(found) == ["mse", "ours", "ours_tuned", "ours_double", "gain"]
    assert [style.family for style in found.values()] == ["loss", "loss", "tuned", "variant", "reference"]
    assert found["ours_tuned"].color == found["ours"].color and found["ours_double"].color == muted(found["ours"].color)
    assert found["gain"].color == BASELINE_COLOR and found["ours_double"].parent == "ours"
    assert found["ours_double"].derived and not found["ours_tuned"].derived


def test_forty_losses_have_looks_of_their_own():
    arms = [Arm("mse", loss="mse"), *(Arm(f"arm{k}", loss=f"loss{k}") for k in range(40))]
    found = arm_styles(arms, "mse")
    assert len({(style.color, style.marker) for style in found.values()}) == 41
    assert {style.marker for style in found.values()} <= set(MARKER_PATHS)


def test_long_names_are_shortened():
    assert short("x" * 60).count("…") == 1 and len(short("x" * 60)) <= 24
    assert short("anti_average_confidence_double", "anti_average").endswith("confidence_double")


def test_terms_have_distinct_colours():
    colors = term_colors(["lab", "saturation", "other", "more"], {})
    assert len(set(colors.values())) == 4 and colors["lab"] == BASELINE_COLOR
