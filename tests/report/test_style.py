"""Numbers as text, and looks that everybody can tell apart."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab

from study.report import looks, style, theme
from study.report.result import Arm

# Machado, Oliveira and Fernandes 2009, severity 1, on linear sRGB.
VISION = {
    "full": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(color: str) -> np.ndarray:
    value = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb(value: np.ndarray) -> np.ndarray:
    value = value.clip(0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("colors", "least"), [((*looks.COLORS, looks.BASELINE_COLOR), 13), (theme.ON_DARK, 12)])
def test_any_two_colours_of_arms_differ_for_every_kind_of_colour_vision(vision, colors, least):
    lab = rgb2lab(np.array([[srgb(VISION[vision] @ linear(color)) for color in colors]]))[0]
    assert min(deltaE_ciede2000(one, other) for one, other in combinations(lab, 2)) > least


@pytest.mark.parametrize("paper", ["#fefefc", "#15171a"])
def test_every_colour_of_an_arm_stands_out_on_light_and_dark_paper(paper):
    weights = np.array([0.2126, 0.7152, 0.0722])
    ground = weights @ linear(paper) + 0.05
    for color in [*looks.COLORS, *map(looks.muted, looks.COLORS), looks.BASELINE_COLOR]:
        light = weights @ linear(color) + 0.05
        assert max(light, ground) / min(light, ground) > 2.4


def test_on_dark_paper_every_colour_keeps_its_hue_and_stands_out_more():
    weights = np.array([0.2126, 0.7152, 0.0722])
    ground = weights @ linear("#15171a") + 0.05
    for light, dark in theme.DARK.items():
        assert (weights @ linear(dark) + 0.05) / ground > 4.2
        before, after = (rgb2lab(srgb(linear(color))[None, None])[0, 0, 1:] for color in (light, dark))
        assert before @ after > 0.9 * np.hypot(*before) * np.hypot(*after)


def test_a_themed_text_falls_back_to_the_colour_itself_and_has_a_rule_for_dark_paper():
    for color in [*looks.COLORS, looks.muted(looks.COLORS[0]), looks.BASELINE_COLOR]:
        assert theme.themed(f"fill: {color}") == f"fill: var(--arm-{color[1:]}, {color})"
        assert f"--arm-{color[1:]}: #" in theme.dark_rule()
    assert theme.themed("fill: #123456") == "fill: #123456"


def test_forty_arms_have_forty_looks_and_the_baseline_is_gray():
    found = looks.looks([Arm(f"arm{i}", "", "mse") for i in range(41)], "arm3")
    assert len({(look.color, look.marker) for look in found.values()}) == 41
    assert found["arm3"].color == looks.BASELINE_COLOR
    assert sorted(look.index for look in found.values()) == list(range(41)) and next(iter(found)) == "arm3"


def test_a_look_depends_on_the_place_in_the_list_only():
    arms = [Arm(name, "", "mse") for name in ("mse", "a", "b", "c")]
    assert looks.looks(arms[:3], "mse")["b"] == looks.looks(arms, "mse")["b"]


def test_what_is_derived_from_a_loss_is_drawn_in_its_colour_and_stands_behind_it():
    weights = {"lab": 1.0, "saturation": 0.01, "confidence": 1.0}
    arms = [
        Arm("double", "", "full", {**weights, "confidence": 2.0}),
        Arm("full", "", "full", weights),
        Arm("mse", "", "mse", {"lab": 1.0}),
        Arm("other_units", "", "full", weights, {"units": "normalized"}),
        Arm("two_changed", "", "full", {**weights, "saturation": 3.0, "confidence": 9.0}),
        Arm("off", "", "full", {**weights, "confidence": 0.0}),
        Arm(
            "full_tuned", "", "full", {**weights, "confidence": 12.0}, tuned={"family": "full", "choice": "recommended"}
        ),
        Arm("gain", "", "mse", {"lab": 1.0}, control={"of": "mse", "match": "truth"}),
        Arm("half", "", "full", {**weights, "confidence": 0.5}),
    ]
    found = looks.looks(arms, "mse")
    families = {name: look.family for name, look in found.items()}
    assert families == {"mse": "main", "double": "main", "other_units": "main", "two_changed": "main", "off": "main",
                        "full_tuned": "tuned", "full": "dose", "half": "dose", "gain": "control"}  # fmt: skip
    assert next(iter(found)) == "mse" and list(found)[-1] == "gain"
    assert found["half"].parent == "double" and found["half"].color == looks.muted(found["double"].color)
    assert found["gain"].color == looks.BASELINE_COLOR and found["gain"].marker != found["mse"].marker
    assert len({(look.color, look.marker) for look in found.values()}) == len(arms)


def test_a_long_name_of_a_dose_leaves_out_its_parents():
    assert looks.short("anti_average_confidence_double", "anti_average") == "…_confidence_double"
    assert looks.short("anti_average_tuned", "anti_average") == "anti_average_tuned"


@given(st.floats(-1e6, 1e6), st.integers(0, 5), st.booleans())
def test_a_number_reads_back_as_itself_rounded_and_zero_has_no_sign(value, decimals, sign):
    text = style.number(value, decimals, sign)
    assert float(text.replace("−", "-")) == pytest.approx(value, abs=0.5000001 * 10**-decimals)
    assert "-" not in text
    if float(text.replace("−", "-")) == 0:
        assert text.lstrip("0.") == ""


def test_what_is_not_there_is_a_dash_and_not_nan():
    assert {f(math.nan) for f in (style.p_value, style.count, style.amount, style.duration)} == {"–"}
    assert style.number(math.nan, 2) == "–"
    assert style.interval(math.nan, 1.0, 2) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0625, "0.0625"), (1.0, "1.0000"), (0.00001, "<0.0001")],
)
def test_p_values(value, text):
    assert style.p_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.975, "10 s"), (48.2, "48 s"), (725, "12 min 5 s"), (720, "12 min"), (12_000, "3 h 20 min"), (3_599.6, "1 h")],
)
def test_durations(seconds, text):
    assert style.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.4949, "1.49"), (39.52, "39.5"), (809.6, "810"), (118_000.0, "118\u202f000"), (0.0625, "0.0625"), (0, "0")],
)
def test_amounts_have_three_digits_and_no_exponent(value, text):
    assert style.amount(value) == text


def test_lists_in_words():
    assert style.listed([]) == ""
    assert style.listed(["a"]) == "a"
    assert style.listed(["a", "b", "c"]) == "a, b and c"
