"""LPIPS against the lpips package itself, with a trunk of random weights; and when it cannot be measured."""

from __future__ import annotations

import os
import warnings
from importlib import metadata
from pathlib import Path

import pytest
import torch
import torchvision

from study import pretrained
from study.errors import StudyError
from study.files import sha256_file
from study.metrics import lpips_distance, lpips_facts, lpips_model, lpips_network, perceptual

CPU = torch.device("cpu")
REAL = Path(os.environ.get("STUDY_DATA_DIR", "/nonexistent"))  # as it is before any test


@pytest.fixture(autouse=True)
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the hub cache, empty so far, would hold the weights; the server of the weights refuses."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("STUDY_LPIPS_WEIGHTS", raising=False)
    monkeypatch.delenv("STUDY_DATA_DIR", raising=False)
    monkeypatch.setattr(pretrained, "DOWNLOADS", "http://127.0.0.1:9")
    path = lpips_network.TRUNKS["alex"].published.cached
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    import lpips  # here, because it takes seconds

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision by arguments it has deprecated
        return lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()


@pytest.fixture(scope="module")
def weights(reference: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's trunk, saved under the names that torchvision gives to an AlexNet's layers."""
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    renamed = {"features." + name.split(".", 1)[1]: value for name, value in reference.net.state_dict().items()}
    torch.save(renamed, path)
    return path


def test_loaded_model_measures_what_the_package_measures(reference: torch.nn.Module, weights: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.rand(3, 3, 64, 48, generator=generator) for _ in range(2))
    module, facts = lpips_model(str(weights), CPU, 48)
    expected = reference(one, other, normalize=True).flatten().detach()
    torch.testing.assert_close(lpips_distance(module, one, other), expected)
    assert facts == {
        "measured": True, "reason": "", "net": "alex", "version": "0.1", "package": metadata.version("lpips"),
        "trunk_sha256": sha256_file(weights),
    }  # fmt: skip
    assert lpips_facts(str(weights), 48) == facts


def test_bytes_and_floats_give_the_same_distance_and_identical_images_none(reference: torch.nn.Module) -> None:
    levels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    from_bytes = lpips_distance(reference, levels, levels.flip(0))
    torch.testing.assert_close(from_bytes, lpips_distance(reference, levels / 255, levels.flip(0) / 255))
    assert (from_bytes > 0).all()
    assert torch.equal(lpips_distance(reference, levels, levels), torch.zeros(2))


def test_auto_takes_weights_that_are_here_without_a_network(weights: Path, cached: Path) -> None:
    cached.write_bytes(weights.read_bytes())
    module, facts = lpips_model("auto", CPU, 64)
    assert module is not None
    assert facts["measured"]
    assert facts["trunk_sha256"] == sha256_file(weights)
    assert lpips_facts("auto", 64, download=False) == facts


@pytest.mark.parametrize("case", ["nothing", "broken cache", "missing variable", "broken variable"])
def test_auto_without_weights_measures_nothing_and_says_what_to_do_without_a_path(
    case: str, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pth"
    if case == "broken cache":
        cached.write_text("no weights")
    elif case != "nothing":
        monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(other))
    if case == "broken variable":
        other.write_text("no weights")
    module, facts = lpips_model("auto", CPU, 64)
    assert module is None
    assert set(facts) == {"measured", "reason"}
    assert not facts["measured"]
    assert lpips_network.TRUNKS["alex"].published.file in facts["reason"]
    assert ("STUDY_LPIPS_WEIGHTS" in facts["reason"]) == ("variable" in case)
    assert str(tmp_path) not in facts["reason"]


def test_switched_off_is_a_reason_too() -> None:
    module, facts = lpips_model("off", CPU, 64)
    assert module is None
    assert not facts["measured"]
    assert "off" in facts["reason"]


@pytest.mark.parametrize("setting", ["auto", "named.pth"])
def test_pictures_too_small_for_the_network_are_not_measured_and_their_size_is_told(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "find_weights", None)  # decided before anything is looked for
    module, facts = lpips_model(setting, CPU, 24)
    assert module is None
    assert not facts["measured"]
    assert "24 pixels" in facts["reason"]


@pytest.mark.parametrize("size", [31, 32])
def test_the_smallest_pictures_that_count_as_large_enough_are_measured(size: int, weights: Path) -> None:
    module, facts = lpips_model(str(weights), CPU, size)
    assert facts["measured"]
    one, other = torch.rand(2, 2, 3, size, size, generator=torch.Generator().manual_seed(4))
    assert (lpips_distance(module, one, other) > 0).all()


def ramps() -> torch.Tensor:
    """A picture (1, 3, 64, 64) whose red rises to the right, green downwards, and blue along the diagonal."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    return torch.stack([x / 63, y / 63, (x + y) / 126])[None]


@pytest.mark.skipif(not (REAL / "alexnet_features.pth").is_file(), reason="needs AlexNet's weights in STUDY_DATA_DIR")
def test_the_real_network_gives_a_generated_pair_the_values_that_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_DATA_DIR", str(REAL))
    module, facts = lpips_model("auto", CPU, 64)
    assert facts["measured"]
    gray = ramps().mean(1, keepdim=True).expand(-1, 3, -1, -1)
    found = [lpips_distance(module, ramps(), other).item() for other in (gray, ramps().flip(-1), ramps() / 2 + 0.25)]
    assert found == pytest.approx([0.5714, 0.3668, 0.0374], abs=1e-4)


@pytest.mark.verify
@pytest.mark.skipif(not (REAL / "vgg16_features.pth").is_file(), reason="needs VGG16's weights in STUDY_DATA_DIR")
def test_the_real_network_gives_the_value_in_the_documentation_of_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.3493: for LPIPS (vgg) of random pictures that are drawn after the layers of that network."""
    monkeypatch.setenv("STUDY_DATA_DIR", str(REAL))
    module = lpips_network.build_lpips("vgg", lpips_network.find_weights("vgg"))
    torch.manual_seed(123)
    torchvision.models.vgg16(weights=None, init_weights=False)
    for channels in (64, 128, 256, 512, 512):
        torch.nn.Conv2d(channels, 1, 1, bias=False)
    one, other = (torch.rand(10, 3, 100, 100) for _ in range(2))
    assert lpips_distance(module, one, other).mean().item() == pytest.approx(0.3493, abs=6e-5)


def test_path_that_is_missing_or_holds_something_else_is_refused(tmp_path: Path) -> None:
    for missing in (str(tmp_path / "missing.pth"), str(tmp_path), "untrained"):
        with pytest.raises(StudyError, match=rf"evaluate\.lpips.*{missing}"):
            lpips_model(missing, CPU, 64)
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(StudyError, match=rf"{name}.*alexnet"):
            lpips_model(str(tmp_path / name), CPU, 64)
