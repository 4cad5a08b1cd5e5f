"""LPIPS against the lpips package itself, with a trunk of random weights; and when it cannot be measured."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from study.errors import StudyError
from study.files import sha256_file
from study.metrics import lpips_distance, lpips_model, perceptual

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    lpips = pytest.importorskip("lpips")
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
    module, facts = lpips_model(str(weights), CPU)
    expected = reference(one, other, normalize=True).flatten().detach()
    torch.testing.assert_close(lpips_distance(module, one, other), expected)
    assert facts == {
        "measured": True, "reason": "", "net": "alex", "version": "0.1", "trunk_sha256": sha256_file(weights)
    }  # fmt: skip


def test_bytes_and_floats_give_the_same_distance_and_identical_images_none(reference: torch.nn.Module) -> None:
    levels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    from_bytes = lpips_distance(reference, levels, levels.flip(0))
    torch.testing.assert_close(from_bytes, lpips_distance(reference, levels / 255, levels.flip(0) / 255))
    assert (from_bytes > 0).all()
    assert torch.equal(lpips_distance(reference, levels, levels), torch.zeros(2))


def test_weights_in_the_hub_cache_are_used_without_a_network(
    reference: torch.nn.Module, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "TRUNK_URL", "http://127.0.0.1:9/nothing")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.TRUNK_FILE).write_bytes(weights.read_bytes())
    module, facts = lpips_model("auto", CPU)
    assert facts["measured"]
    assert module is not None


def test_without_weights_and_network_the_reason_says_what_to_do(
    reference: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "TRUNK_URL", "http://127.0.0.1:9/nothing")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    module, facts = lpips_model("auto", CPU)
    assert module is None
    assert not facts["measured"]
    assert "evaluate.lpips" in facts["reason"]
    assert str(tmp_path) not in facts["reason"]


def test_switched_off_is_a_reason_too() -> None:
    module, facts = lpips_model("off", CPU)
    assert module is None
    assert not facts["measured"]
    assert "off" in facts["reason"]


def test_path_that_is_missing_or_holds_something_else_is_refused(reference: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no file"):
        lpips_model(str(tmp_path / "missing.pth"), CPU)
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(StudyError, match="not an AlexNet state dict"):
            lpips_model(str(tmp_path / name), CPU)
