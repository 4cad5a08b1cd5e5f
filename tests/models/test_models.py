"""Networks: both heads sit on one trunk, and a network of one's own is found by its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from study import models
from study.config.study import ModelSettings
from study.errors import StudyError
from study.models import Trunk, build_model, half_resolution, model_names, register
from study.models.registry import model_source
from study.training.digest import weights_digest

OWN = """
import torch
from torch import nn

from study.models import Trunk, register


@register("one_layer")
class OneLayer(Trunk):
    stride, multiple = 4, 4

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.channels = width
        self.layer = nn.Conv2d(1, width, 4, stride=4)

    def forward(self, lightness):
        return torch.relu(self.layer(lightness))
"""


def unet(**options: int) -> ModelSettings:
    return ModelSettings(options=options)


@pytest.mark.parametrize("head", ["ab", "bins"])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_colours_come_out_at_half_resolution_and_back_at_full(head: str, levels: int) -> None:
    model = build_model(unet(width=8, levels=levels), head, 0)
    output = model(torch.rand(2, 1, 24, 32) * 100)
    assert output.shape == (2, 2 if head == "ab" else 313, 12, 16)
    assert model.predict(torch.rand(2, 1, 24, 32) * 100).shape == (2, 2, 24, 32)


def test_the_trunk_depends_on_the_seed_alone() -> None:
    ab, bins = build_model(unet(width=8, levels=3), "ab", 5), build_model(unet(width=8, levels=3), "bins", 5)
    assert weights_digest(ab.trunk) == weights_digest(bins.trunk)
    assert weights_digest(ab.trunk) != weights_digest(build_model(unet(width=8, levels=3), "ab", 6).trunk)
    own = sum(p.numel() for p in ab.parameters()) - sum(p.numel() for p in ab.trunk.parameters())
    assert own == 2 * (ab.trunk.channels + 1)


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build_model(unet(), "ab", 0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("upsampling", "mode"), [("nearest", "nearest"), ("bilinear", "bilinear")])
def test_upsampling_is_that_of_torch(upsampling: str, mode: str) -> None:
    ab = torch.randn(1, 2, 4, 6)
    model = build_model(ModelSettings(upsampling=upsampling), "ab", 0)
    expected = F.interpolate(ab, scale_factor=2, mode=mode)
    assert torch.equal(model.upsample(ab), expected)


def test_targets_are_means_over_the_pixels_of_a_prediction() -> None:
    ab = torch.randn(2, 2, 8, 8)
    blocks = ab.reshape(2, 2, 4, 2, 4, 2).mean((3, 5))
    assert torch.allclose(build_model(unet(), "ab", 0).target(ab), blocks, atol=1e-6)
    assert torch.allclose(half_resolution(ab), blocks, atol=1e-6)


def test_a_picture_that_cannot_be_halved_often_enough_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        build_model(unet(levels=3), "ab", 0)(torch.zeros(1, 1, 12, 16))


def test_a_network_of_ones_own_is_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.registry, "_TRUNKS", dict(models.registry._TRUNKS))
    (tmp_path / "ablations" / "models").mkdir(parents=True)
    (tmp_path / "ablations" / "models" / "own.py").write_text(OWN)
    settings = ModelSettings(name="one_layer", options={"width": 6}, file="ablations/models/own.py")
    model = build_model(settings, "bins", 1, tmp_path)
    assert model(torch.zeros(2, 1, 16, 16)).shape == (2, 313, 4, 4)
    assert model.predict(torch.zeros(2, 1, 16, 16)).shape == (2, 2, 16, 16)
    assert model_source(settings, tmp_path) == tmp_path / "ablations" / "models" / "own.py"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (ModelSettings(name="unett"), "'unet'"),
        (ModelSettings(options={"widht": 8}), "'width'"),
        (ModelSettings(options={"width": 10}), "multiple of 4"),
        (ModelSettings(options={"levels": 9}), "levels"),
        (ModelSettings(options={"width": "many"}), "unet"),
        (ModelSettings(name="x", file="ablations/models/none.py"), "ablations/models/none.py"),
    ],
)
def test_what_cannot_be_built_is_told_in_one_line(settings: ModelSettings, named: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError) as error:
        build_model(settings, "ab", 0, tmp_path)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_names_are_taken_once_and_only_by_trunks() -> None:
    assert "unet" in model_names()
    with pytest.raises(StudyError, match="unet"):
        register("unet")(type("Another", (Trunk,), {}))
    with pytest.raises(StudyError, match="Trunk"):
        register("no_trunk")(torch.nn.Linear)
