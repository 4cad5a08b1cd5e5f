"""The generated world: its colours have the declared distribution, and lightness tells only the kind of a region."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.color.lab import lab_to_rgb, rgb_to_lab
from study.config.data import PaletteWorldData
from study.data import load_source
from study.data.palette_world import PALETTES, Scenes, color_distribution, draw_scenes
from study.data.scenery import CONTRAST, LIGHTNESS, NOISE, REGION_NAMES

DECLARED = color_distribution()
WIDE = [k for k in range(len(REGION_NAMES)) if DECLARED.wide[k]]


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw_scenes(4096, 32, seed=7, split="train")


def lab_of(images: np.ndarray) -> np.ndarray:
    return rgb_to_lab(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))).numpy()


def regions_of(scenes: Scenes) -> dict[str, np.ndarray]:
    """One row for each visible region: its scene, kind, mode, number of pixels and mean L."""
    count, size = scenes.region.shape[:2]
    index = (np.arange(count)[:, None, None] * 8 + scenes.slot).ravel()
    pixels = np.bincount(index, minlength=count * 8)
    lightness = np.bincount(index, lab_of(scenes.images)[:, 0].ravel(), minlength=count * 8)
    shown = pixels > 0
    first = np.zeros(count * 8, int)
    first[index[::-1]] = np.arange(count * size * size)[::-1]
    return {
        "scene": np.flatnonzero(shown) // 8,
        "kind": scenes.region.ravel()[first[shown]],
        "mode": scenes.mode.ravel()[first[shown]],
        "pixels": pixels[shown],
        "lightness": lightness[shown] / pixels[shown],
    }


def test_every_color_is_inside_the_gamut_at_every_lightness_of_its_kind():
    for k, kind in enumerate(REGION_NAMES):
        reach = CONTRAST[k, 1] + NOISE
        lightness = torch.linspace(float(LIGHTNESS[k, 0] - reach), float(LIGHTNESS[k, 1] + reach), 200)
        for mode in PALETTES[kind]:
            lab = torch.stack([lightness, torch.full((200,), mode.a), torch.full((200,), mode.b)])[None, :, None]
            back = rgb_to_lab(lab_to_rgb(lab))  # a color outside would come back changed by clipping
            assert (back - lab).abs().max() < 0.02, (kind, mode.name)


def test_pictures_keep_the_declared_color_within_8_bit_rounding(scenes):
    ab = lab_of(scenes.images)[:, 1:].transpose(0, 2, 3, 1)
    assert np.linalg.norm(ab - DECLARED.modes[scenes.region, scenes.mode], axis=-1).max() < 1.0


def test_lightness_stays_in_the_range_of_its_kind(scenes):
    lightness = lab_of(scenes.images)[:, 0]
    for k in range(len(REGION_NAMES)):
        reach = CONTRAST[k, 1] + NOISE + 0.3  # 0.3: rounding to 8 bits
        of_kind = lightness[scenes.region == k]
        assert of_kind.min() > LIGHTNESS[k, 0] - reach
        assert of_kind.max() < LIGHTNESS[k, 1] + reach


def test_scenes_have_three_to_five_large_regions_of_one_kind_and_mode_each(scenes):
    regions = regions_of(scenes)
    assert set(np.bincount(regions["scene"])) == {3, 4, 5}
    assert regions["pixels"].min() >= 20
    assert np.median(regions["pixels"]) > 150
    # a region has one kind and one mode: as many triples of region, kind and mode in a scene as regions
    scene = np.arange(4096)[:, None, None]
    triples = ((scene * 8 + scenes.slot) * 8 + scenes.region) * 8 + scenes.mode
    assert len(np.unique(triples)) == len(regions["scene"])


def test_regions_are_made_of_whole_cells_of_the_predicted_resolution(scenes):
    for field in (scenes.slot, scenes.region, scenes.mode):
        cells = field.reshape(4096, 16, 2, 16, 2)
        assert (cells == cells[:, :, :1, :, :1]).all()


@pytest.mark.parametrize("k", WIDE, ids=[REGION_NAMES[k] for k in WIDE])
def test_modes_occur_with_their_declared_probabilities(scenes, k):
    regions = regions_of(scenes)
    p = DECLARED.probabilities[k][DECLARED.probabilities[k] > 0].astype(float)
    counts = np.bincount(regions["mode"][regions["kind"] == k], minlength=len(p))
    assert len(counts) == len(p)
    assert stats.chisquare(counts, counts.sum() * p / p.sum()).pvalue > 1e-3


@pytest.mark.parametrize("k", WIDE, ids=[REGION_NAMES[k] for k in WIDE])
def test_mode_is_independent_of_lightness_size_and_the_neighbours(scenes, k):
    regions = regions_of(scenes)
    of_kind = regions["kind"] == k
    mode = regions["mode"][of_kind]
    others = {name: regions[name][of_kind] for name in ("lightness", "pixels")}
    sky = np.full(4096, -1)
    sky[regions["scene"][regions["kind"] == 0]] = regions["mode"][regions["kind"] == 0]
    if k != 0:
        others["mode of the sky"] = sky[regions["scene"][of_kind]]
    for name, values in others.items():
        groups = values if name.startswith("mode") else np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values)
        table = np.array([[np.sum((mode == m) & (groups == g)) for g in np.unique(groups)] for m in np.unique(mode)])
        assert stats.chi2_contingency(table).pvalue > 1e-3, name


def test_averaging_is_far_from_every_mode_of_every_wide_kind():
    for k in WIDE:
        modes = DECLARED.modes[k][DECLARED.probabilities[k] > 0]
        assert np.linalg.norm(modes - DECLARED.mean[k], axis=1).min() > 10
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(modes, 2)) > 14
    for kind in ("flower", "car"):
        k = REGION_NAMES.index(kind)
        assert np.hypot(*DECLARED.mean[k]) < DECLARED.mean_chroma[k] / 3
    np.testing.assert_array_equal(DECLARED.mean[REGION_NAMES.index("wall")], 0)
    np.testing.assert_allclose(DECLARED.probabilities.sum(1), 1, rtol=1e-6)


def test_another_number_of_training_scenes_changes_no_test_scene():
    few, many = (
        load_source(PaletteWorldData(source="palette_world", train=n, val=20, test=30, seed=3), Path())
        for n in (10, 600)
    )
    for split in ("val", "test"):
        np.testing.assert_array_equal(few.splits[split].images, many.splits[split].images)
    np.testing.assert_array_equal(few.splits["train"].images, many.splits["train"].images[:10])
    assert few.splits["test"].names == many.splits["test"].names


def test_splits_and_seeds_give_different_scenes():
    drawn = [
        draw_scenes(8, 32, seed, split).images for seed, split in [(0, "train"), (0, "val"), (0, "test"), (1, "test")]
    ]
    for one, other in itertools.combinations(drawn, 2):
        assert not (one == other).all(axis=(1, 2, 3)).any()


@given(st.integers(1, 40), st.sampled_from([16, 24, 32, 64]), st.integers(0, 2**40))
def test_same_seed_gives_the_same_scenes_at_any_size(count, size, seed):
    one, other = draw_scenes(count, size, seed, "val"), draw_scenes(count, size, seed, "val")
    assert one.images.shape == (count, size, size, 3)
    for a, b in zip(vars(one).values(), vars(other).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_source_carries_the_distribution_and_the_truth_of_every_validation_and_test_pixel():
    source = load_source(PaletteWorldData(source="palette_world", train=5, val=6, test=7, seed=2), Path())
    extra = source.extra
    assert list(extra["regions"]) == list(REGION_NAMES)
    for split, count in (("val", 6), ("test", 7)):
        assert extra[f"region_{split}"].shape == extra[f"mode_{split}"].shape == (count, 32, 32)
        ab = lab_of(source.splits[split].images)[:, 1:].transpose(0, 2, 3, 1)
        assert np.abs(ab - extra["modes"][extra[f"region_{split}"], extra[f"mode_{split}"]]).max() < 1
    assert [len(source.splits[split].names) for split in ("train", "val", "test")] == [5, 6, 7]
    assert source.facts["reachable_mse"]["test"] == pytest.approx(
        DECLARED.reachable_mse(extra["region_test"]), abs=1e-3
    )
