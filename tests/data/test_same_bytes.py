"""palette_world is the same bytes on every processor, every file of it.

When the generator, or what the manifest holds, is changed on purpose, print the digests anew:
for counts in "64 16 16" "5000 400 400" "20000 400 400"; do python -m tests.data.same_bytes $counts; done
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy._core._multiarray_umath import __cpu_dispatch__

from study.data.palette_world import color_table
from study.data.prior import half_resolution_ab, prior_of_counts, soft_counts
from study.data.scenery import _petals, _sine
from tests.data.same_bytes import digests

REPOSITORY = Path(__file__).parents[2]
SMALL, PART, FULL = (64, 16, 16), (5_000, 400, 400), (20_000, 400, 400)
DIGESTS = {
    SMALL: {
        "manifest.json": "6c39e26783f4b88d68ad46f867ec2fb1284177e7f1d3cbd06f83748cc6bf7547",
        "prior.npy": "9c6f47f2e52f0569068afa8ac161062244c312def9aadf5ef4b1ea002859a6bb",
        "test.npy": "1d1238f2002c551e04d8c5ee2a68980da3953ed6923fe89fc7d63c07af40301f",
        "train.npy": "2648c5193e78c9f2542e330e4540912bda63f29c272e080001ad1de2cc0f1006",
        "val.npy": "6f11772b7a6008e0d775f450a7c6f629340dc869928322dd71523fa3f56b380c",
        "world.npz": "0aae19e788c1cea120d7238abb68a27c50afa240dd1ddf2c9b2925d6b3c7bbac",
    },
    PART: {
        "manifest.json": "a29cd46b37a254aedc1a6f845aaeacde3468e50310b5b3500be7a47065549636",
        "prior.npy": "0117968bb06fafdaf683785815183ec393cf1cd84a955060efc0c6a29a80af87",
        "test.npy": "82942f7b02d5287a8146550b944cd07e853748a6ba8e82e25a9e2aa4fa6b89dd",
        "train.npy": "557c414a9c70011f1cb25d265fc9131863bb0813a7fe1a1adbb22b2c5d0f42d1",
        "val.npy": "00632f2dc458ee3dd6f3d525b5b098b2ad753cbc69c3ec6769e245bbccf8eb8e",
        "world.npz": "52f492d02f8ab43923239c887c9c8b32d798327dfef70295c365f47764b58036",
    },
    FULL: {
        "manifest.json": "6d37bb34a2168fc0ceec9c06cb2af004f2a975c545e6b4e5c2ba60ce6dd9eaa4",
        "prior.npy": "288e6018eddd49ac01f33d8e6dec816cf3b103844e99ae00a40a355b8489612c",
        "test.npy": "82942f7b02d5287a8146550b944cd07e853748a6ba8e82e25a9e2aa4fa6b89dd",
        "train.npy": "0de17eaaba3683f81ddd022d8acb95e24d85b6d4328e6be6c8e446e0cecd3e83",
        "val.npy": "00632f2dc458ee3dd6f3d525b5b098b2ad753cbc69c3ec6769e245bbccf8eb8e",
        "world.npz": "52f492d02f8ab43923239c887c9c8b32d798327dfef70295c365f47764b58036",
    },
}  # fmt: skip
# NumPy's code for newer processors is switched off by name, PyTorch's by level. Names that NumPy does not know, or that
# the processor lacks, change nothing.
OLDER_PROCESSORS = {
    "no AVX-512": {
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX X86_V4 AVX512_ICL", "ATEN_CPU_CAPABILITY": "avx2",
    },
    "no AVX": {"NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__), "ATEN_CPU_CAPABILITY": "default"},
}  # fmt: skip


def test_the_full_world_is_that_of_params_yaml():
    data = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["studies"]["palette_world"]["data"]
    assert (data["train"], data["val"], data["test"], data["size"], data["seed"]) == (*FULL, 32, 0)


@pytest.mark.parametrize("counts", [SMALL, pytest.param(FULL, marks=pytest.mark.verify)], ids=["small", "full"])
def test_every_file_is_the_committed_bytes(counts):
    assert digests(*counts) == DIGESTS[counts]


@pytest.mark.parametrize(
    ("which", "counts"),
    [
        ("no AVX", SMALL),
        pytest.param("no AVX-512", SMALL, marks=pytest.mark.verify),
        pytest.param("no AVX", PART, marks=pytest.mark.verify),
    ],
)
def test_every_file_is_the_same_bytes_with_code_for_older_processors(which, counts):
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.same_bytes", *map(str, counts)],
        env=os.environ | OLDER_PROCESSORS[which],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == DIGESTS[counts]


def test_no_color_lies_near_a_border_of_rounding():
    # Processors differ by 1e-12 here.
    levels = color_table() * 255
    inside = levels[(levels > 0) & (levels < 255)]
    assert np.abs(inside % 1 - 0.5).min() > 1e-9


def test_the_prior_has_room_for_what_processors_differ_by():
    rng = np.random.default_rng(0)
    counts = soft_counts(half_resolution_ab(rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)))
    for _ in range(20):
        noise = 1 + rng.uniform(-1e-11, 1e-11, len(counts))
        np.testing.assert_array_equal(prior_of_counts(counts * noise), prior_of_counts(counts))


def test_sine_and_petals_agree_with_the_library():
    rng = np.random.default_rng(0)
    angle = rng.uniform(-50, 50, 100_000)
    u, v = rng.uniform(-1, 1, (2, 100_000))
    np.testing.assert_allclose(_sine(angle), np.sin(angle), atol=1e-11)
    np.testing.assert_allclose(_petals(u, v, angle), np.cos(6 * np.arctan2(v, u) + angle), atol=1e-11)
    assert np.isfinite(_petals(np.zeros(1), np.zeros(1), angle[:1])).all()
