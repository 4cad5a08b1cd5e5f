"""Casts: which colours count, what the truth excuses, and that sepia pictures are told from others."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.metrics import purple_cast, sepia_cast

CASTS = {"sepia": (sepia_cast, 65), "purple": (purple_cast, 315)}
GRAY = torch.zeros(1, 2, 4, 6, dtype=torch.float64)
RATINGS = Path(os.environ.get("STUDY_DATA_DIR", "/nowhere")) / "human"


def painted(chroma: float, degrees: float) -> torch.Tensor:
    """A picture of a single colour."""
    color = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=torch.float64)
    return chroma * color.view(1, 2, 1, 1).expand(1, 2, 4, 6)


@pytest.mark.parametrize("name", CASTS)
@pytest.mark.parametrize("chroma", [2, 15, 60])
def test_a_colour_counts_with_its_chroma_and_less_the_farther_its_hue_is(name: str, chroma: float) -> None:
    cast, middle = CASTS[name]
    for off, share in ((0, 1), (30, 0.5), (-30, 0.5), (44.99, 0), (-45.01, 0), (180, 0), (90, 0)):
        assert cast(painted(chroma, middle + off), GRAY).item() == pytest.approx(share * chroma, abs=0.03)


@pytest.mark.parametrize("name", CASTS)
def test_what_the_truth_has_is_no_cast_and_what_is_missing_does_not_count_negative(name: str) -> None:
    cast, middle = CASTS[name]
    assert cast(painted(15, middle), painted(12, middle)).item() == pytest.approx(3)
    assert cast(painted(12, middle), painted(15, middle)).item() == 0
    half = GRAY.clone()
    half[..., :3] = painted(20, middle)[..., :3]
    assert cast(half, GRAY).item() == pytest.approx(10)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_a_sum_pixel_by_pixel(seed: int) -> None:
    own, true = np.random.default_rng(seed).normal(0, 15, (2, 2, 2, 5, 5))

    def mass(ab: np.ndarray, middle: float) -> np.ndarray:
        total = np.zeros(len(ab))
        for n, y, x in np.ndindex(len(ab), 5, 5):
            a, b = ab[n, :, y, x]
            off = (math.degrees(math.atan2(b, a)) - middle + 180) % 360 - 180
            total[n] += math.hypot(a, b) * math.cos(math.radians(2 * off)) / 25 if abs(off) < 45 else 0
        return total

    for cast, middle in CASTS.values():
        expected = np.maximum(mass(own, middle) - mass(true, middle), 0)
        np.testing.assert_allclose(cast(torch.from_numpy(own), torch.from_numpy(true)).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("name", CASTS)
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_colour_that_is_not_finite_is_no_good_score(name: str, odd: float) -> None:
    cast, _ = CASTS[name]
    picture = GRAY.clone()
    picture[0, 1, 2, 3] = odd
    assert cast(picture, GRAY).isnan() and cast(GRAY, picture).isnan()
    elsewhere = torch.ones(1, 4, 6, dtype=torch.bool)
    elsewhere[0, 2, 3] = False
    assert cast(picture, GRAY, elsewhere) == 0


def test_sepia_pictures_are_told_from_others_and_the_brownest_scores_worst() -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(30, 220, (6, 8, 8, 1)).repeat(4, axis=1).repeat(4, axis=2)
    objects = rng.uniform(0.3, 1.0, (6, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    truth = (gray * objects).astype(np.uint8)

    def ab(pictures: np.ndarray) -> torch.Tensor:
        return rgb_to_lab(images_to_tensor(np.clip(pictures, 0, 255).astype(np.uint8)))[:, 1:].double()

    tone = np.array([112, 66, 20]) / 66
    scores = {
        "gray": sepia_cast(ab(gray.repeat(3, axis=3)), ab(truth)),
        "truth": sepia_cast(ab(truth), ab(truth)),
        "other hues": sepia_cast(ab(truth[..., [2, 0, 1]]), ab(truth)),
        "faint sepia": sepia_cast(ab(gray * (0.75 + 0.25 * tone)), ab(truth)),
        "sepia": sepia_cast(ab(gray * tone), ab(truth)),
    }
    assert scores["gray"].max() == scores["truth"].max() == 0
    for picture in range(6):
        assert scores["sepia"][picture] > scores["faint sepia"][picture] > scores["other hues"].mean() + 1


@pytest.mark.skipif(not RATINGS.is_dir(), reason="the human ratings are not at hand")
def test_people_find_pictures_with_a_strong_cast_less_natural() -> None:
    with open(RATINGS / "ratings.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known: dict[str, torch.Tensor] = {}
    for name in {row[key] for row in rows for key in ("file", "truth")}:
        picture = Image.open(RATINGS / "pictures" / name)
        picture.draft("RGB", (160, 107))
        small = np.asarray(picture.convert("RGB").resize((80, 54), Image.Resampling.BOX))
        known[name] = rgb_to_lab(images_to_tensor(small[None]))[:, 1:]
    cast = np.array([sepia_cast(known[row["file"]], known[row["truth"]]).item() for row in rows])
    natural = np.array([float(row["z"]) for row in rows])
    assert (cast > 5).sum() >= 10
    assert natural[cast > 5].mean() < natural[cast < 5].mean() - 0.1
