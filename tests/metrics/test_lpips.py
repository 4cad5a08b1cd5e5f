"""LPIPS against the lpips package itself, with a trunk of random weights; and when it cannot be measured."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from study.errors import StudyError
from study.files import sha256_file
from study.metrics import lpips_distance, lpips_model, lpips_network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the hub cache, empty so far, would hold the weights; the server of the weights refuses."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("STUDY_LPIPS_WEIGHTS", raising=False)
    monkeypatch.setattr(lpips_network, "DOWNLOADS", "http://127.0.0.1:9")
    path = lpips_network.TRUNKS["alex"].cached
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


@pytest.mark.parametrize("way", ["cache", "variable"])
def test_auto_takes_the_weights_of_the_cache_or_the_variable_without_a_network(
    way: str, weights: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "cache":
        cached.write_bytes(weights.read_bytes())
    else:
        monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(weights))
    module, facts = lpips_model("auto", CPU)
    assert module is not None
    assert facts["measured"]
    assert facts["trunk_sha256"] == sha256_file(weights)


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
    module, facts = lpips_model("auto", CPU)
    assert module is None
    assert set(facts) == {"measured", "reason"}
    assert not facts["measured"]
    assert lpips_network.TRUNKS["alex"].file in facts["reason"]
    assert ("STUDY_LPIPS_WEIGHTS" in facts["reason"]) == (case != "broken cache")
    assert str(tmp_path) not in facts["reason"]


def test_switched_off_is_a_reason_too() -> None:
    module, facts = lpips_model("off", CPU)
    assert module is None
    assert not facts["measured"]
    assert "off" in facts["reason"]


def test_path_that_is_missing_or_holds_something_else_is_refused(tmp_path: Path) -> None:
    for missing in (str(tmp_path / "missing.pth"), str(tmp_path), "untrained"):
        with pytest.raises(StudyError, match=rf"evaluate\.lpips: there is no file {missing}"):
            lpips_model(missing, CPU)
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(StudyError, match=rf"{name} cannot be read as torchvision's alexnet"):
            lpips_model(str(tmp_path / name), CPU)
