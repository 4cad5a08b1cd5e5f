"""The hypercolumn network: its layers are torchvision's, its components are whitened, its weights are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from sklearn.decomposition import PCA

from study.color.lab import lab_to_rgb, rgb_to_lab
from study.config.study import ModelSettings
from study.errors import StudyError
from study.models import Hypercolumn, build_model, pretrained_sha256
from study.models.convolutions import MEAN, NETS, Convolutions, _shapes, load_weights
from study.training.digest import weights_digest
from tests.models.weights import write_weights


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(write_weights(tmp_path / "alexnet.pth"))


def spec(weights: str, **settings: object) -> ModelSettings:
    return ModelSettings(name="hypercolumn", options={"net": "alexnet", "weights": weights}, **settings)


def lightness(count: int = 6, side: int = 32) -> torch.Tensor:
    return 2 * torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(1)) - 1


@pytest.mark.parametrize("net", NETS)
def test_tapped_layers_are_those_of_torchvision(net: str, tmp_path: Path) -> None:
    whole = getattr(torchvision.models, net)(weights=None).features.eval()
    torch.save({f"features.{name}": value for name, value in whole.state_dict().items()}, tmp_path / "own.pth")
    gray = torch.rand(2, 1, 64, 64)
    mean, deviation = torch.tensor(MEAN)[:, None, None], torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    x, expected = (gray - mean) / deviation, []
    with torch.no_grad():
        for number, layer in enumerate(whole):
            x = layer(x)
            if number - 1 in NETS[net].taps:  # the ReLU after a tapped convolution
                expected.append(x.clone())
        found = Convolutions(net, str(tmp_path / "own.pth"))(gray)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_fitted_components_are_principal_components_of_unit_variance(weights: str) -> None:
    trunk = Hypercolumn("alexnet", components=(8, 8, 8, 8), weights=weights)
    pictures = lightness(12)
    trunk.fit(pictures.split(5))
    layer = trunk._layers(pictures)[0]
    pixels = layer.transpose(0, 1).flatten(1).T.double().numpy()
    expected = PCA(8, whiten=True, svd_solver="full").fit_transform(pixels)
    found = (pixels - trunk.mean_0.double().numpy()) @ trunk.basis_0.double().numpy()
    correlation = np.abs((found * expected).mean(0)) / (found.std(0) * expected.std(0))
    assert correlation == pytest.approx(np.ones(8), abs=1e-3)
    assert found.std(0) == pytest.approx(np.ones(8), abs=0.02)


def test_frozen_features_are_a_function_of_the_gray_picture_alone(weights: str) -> None:
    rgb = (255 * torch.rand(2, 3, 32, 32)).byte()
    lab = rgb_to_lab(rgb)
    gray = rgb_to_lab(lab_to_rgb(torch.cat([lab[:, :1], torch.zeros(2, 2, 32, 32)], 1)))
    model = build_model(spec(weights), "ab", 0)
    one, other = model.frozen(lab[:, :1]), model.frozen(gray[:, :1])
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
    assert one.shape == (2, 256, 8, 8)
    assert not one.requires_grad
    torch.testing.assert_close(model(lab[:, :1]), model(lab[:, :1], one))


def test_only_the_head_is_trained_and_kept_unless_the_trunk_learns(weights: str) -> None:
    frozen = build_model(spec(weights), "ab", 0)
    assert {name.split(".")[0] for name, _ in frozen.named_parameters()} == {"trunk", "head"}
    assert not any("convolutions" in name for name in frozen.state_dict())
    tuned = build_model(spec(weights, trunk_learning_rate=1e-4), "ab", 0)
    assert sum(p.numel() for p in tuned.tuned) == sum(x.numel() for x in load_weights("alexnet", weights).values())
    tuned(50 * (lightness(2) + 1)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tuned.tuned)
    torch.testing.assert_close(frozen(50 * (lightness(2) + 1)), tuned(50 * (lightness(2) + 1)))


def test_both_heads_share_all_but_the_last_layer(weights: str) -> None:
    ab, bins = (build_model(spec(weights), head, 3) for head in ("ab", "bins"))
    assert weights_digest(ab.trunk) == weights_digest(bins.trunk)


def test_the_hash_of_weights_is_that_of_their_values(weights: str, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.pth", write_weights(tmp_path / "other.pth", seed=1)
    torch.save(torch.load(weights, weights_only=True) | {"classifier.1.weight": torch.zeros(1)}, copy)
    found = [pretrained_sha256(spec(str(path)), tmp_path) for path in (weights, copy, other)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("damage", ["missing", "no pickle", "other names", "other shapes", "not the published ones"])
def test_weights_that_cannot_be_used_are_named_in_one_line(
    damage: str, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alexnet_features.pth"
    content = torch.load(weights, weights_only=True)
    if damage == "no pickle":
        path.write_text("no weights")
    elif damage == "other names":
        torch.save({"x": torch.zeros(1)}, path)
    elif damage == "other shapes":
        torch.save(content | {"features.0.weight": torch.zeros(1)}, path)
    elif damage == "not the published ones":
        torch.save(content, path)
    options: dict[str, object] = {"net": "alexnet"}
    if damage == "not the published ones":
        monkeypatch.setenv("STUDY_DATA_DIR", str(tmp_path))
    else:
        options["weights"] = str(path)
    with pytest.raises(StudyError) as error:
        build_model(ModelSettings(name="hypercolumn", options=options), "ab", 0)
    assert "alexnet" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options", [{"net": "resnet"}, {"components": [1, 2]}, {"components": [99, 1, 1, 1]}, {"enlarge": 3}, {"width": 0}]
)
def test_options_out_of_range_are_refused(options: dict[str, object], weights: str) -> None:
    own = {"net": "alexnet", "weights": weights} | options
    with pytest.raises(StudyError, match="hypercolumn"):
        build_model(ModelSettings(name="hypercolumn", options=own), "ab", 0)


def test_shapes_are_those_of_the_published_network() -> None:
    for net in NETS:
        state = getattr(torchvision.models, net)(weights=None).state_dict()
        assert {k: tuple(v.shape) for k, v in state.items() if k.startswith("features.")} == _shapes(net)
