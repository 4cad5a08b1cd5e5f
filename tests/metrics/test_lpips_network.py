"""Where the weights of LPIPS come from, what is said when they do not come, and the network built on them."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import lpips
import pytest
import torch
import torchvision

from study import pretrained
from study.errors import StudyError
from study.metrics.lpips_network import TRUNKS, Trunk, Weights, build_lpips, find_weights, perceptual_availability
from study.pretrained import Published


@pytest.fixture(autouse=True)
def _no_weights_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty hub cache and a server that refuses: no test depends on the machine or reaches out."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("STUDY_LPIPS_WEIGHTS", raising=False)
    monkeypatch.delenv("STUDY_DATA_DIR", raising=False)
    monkeypatch.setattr(pretrained, "DOWNLOADS", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def trunk_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as torchvision writes it, with weights unlike those of the untrained trunk."""
    trunk = build_lpips("alex", None).net.state_dict()
    path = tmp_path_factory.mktemp("weights") / "alex.pth"
    torch.save({f"features.{name.split('.', 1)[1]}": 0.5 * value for name, value in trunk.items()}, path)
    return path


@contextmanager
def serving(content: bytes, announced: int) -> Iterator[str]:
    """Address of a server that answers every request with `content` and says that it has `announced` bytes."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def promised(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Published]:
    """Make the name of AlexNet's file promise the given content."""

    def promise(content: bytes) -> Published:
        trunk = Published(f"alexnet-{sha256(content).hexdigest()[:8]}.pth")
        monkeypatch.setitem(TRUNKS, "alex", Trunk(trunk, 31))
        return trunk

    return promise


@pytest.mark.parametrize("way", ["argument", "variable", "cache"])
def test_weights_come_from_a_path_a_variable_or_the_hub_cache(
    way: str, trunk_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argument = None
    if way == "argument":
        argument = trunk_weights
    elif way == "variable":
        monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(trunk_weights))
    else:
        cached = TRUNKS["alex"].published.cached
        cached.parent.mkdir(parents=True)
        cached.write_bytes(trunk_weights.read_bytes())
    assert perceptual_availability("alex", argument) == (True, "")
    weights = find_weights("alex", argument)
    assert weights.file.read_bytes() == trunk_weights.read_bytes()
    assert (str(weights.file) in weights.called) == (way == "argument")
    module = build_lpips("alex", weights)
    expected = torch.load(trunk_weights, map_location="cpu")["features.3.weight"]
    torch.testing.assert_close(module.net.state_dict()["slice2.3.weight"], expected)
    packaged = torch.load(Path(lpips.__file__).parent / "weights/v0.1/alex.pth", map_location="cpu")
    torch.testing.assert_close(module.lin0.model[1].weight, packaged["lin0.model.1.weight"])


def test_a_path_wins_over_the_variable_the_variable_over_the_folder_and_that_over_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, other, named = TRUNKS["alex"].published.cached, tmp_path / "other.pth", tmp_path / "named.pth"
    features, whole = tmp_path / "data" / "alexnet_features.pth", tmp_path / "data" / TRUNKS["alex"].published.file
    cached.parent.mkdir(parents=True)
    features.parent.mkdir()
    for path in (cached, other, named, features, whole):
        path.touch()
    monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(other))
    monkeypatch.setenv("STUDY_DATA_DIR", str(features.parent))
    assert find_weights("alex", named).file == named
    assert find_weights("alex").file == other
    monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", "")
    assert find_weights("alex").file == features
    assert str(tmp_path) not in find_weights("alex").called
    features.unlink()
    assert find_weights("alex").file == whole
    whole.unlink()
    assert find_weights("alex").file == cached


def test_the_trunk_computes_what_torchvisions_network_computes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "squeeze.pth")
    module = build_lpips("squeeze", find_weights("squeeze", tmp_path / "squeeze.pth"))
    images = torch.randn(2, 3, 64, 48)
    features = module.net(images)
    torch.testing.assert_close(features[0], network.features[:2](images))
    torch.testing.assert_close(features[-1], network.features(images))


def test_the_network_is_frozen_in_evaluation_mode_and_untrained_always_the_same() -> None:
    state = torch.get_rng_state()
    one, other = build_lpips("alex", None), build_lpips("alex", None)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(part.training for part in one.modules())
    assert not any(parameter.requires_grad for parameter in one.parameters())
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_without_weights_one_line_says_what_to_do_and_no_path_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"alexnet.*STUDY_DATA_DIR") as error:
        find_weights("alex")
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)
    assert perceptual_availability(download=True) == (False, str(error.value))
    available, reason = perceptual_availability()
    assert not available
    assert "alexnet-owt-7be5be79.pth" in reason
    assert str(tmp_path) not in reason
    assert perceptual_availability(weights="untrained") == (True, "")


def test_a_missing_file_is_named_by_what_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.pth"
    for path in (missing, tmp_path):
        with pytest.raises(StudyError, match=str(path)):
            find_weights("alex", path)
    assert perceptual_availability("alex", missing)[0] is False
    monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(missing))
    with pytest.raises(StudyError, match="STUDY_LPIPS_WEIGHTS") as error:
        find_weights("alex")
    assert missing.name not in str(error.value)


@pytest.mark.parametrize("content", ["text", "empty", "list", "other shapes", "other names"])
def test_a_file_that_holds_something_else_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    if content in ("text", "empty"):
        path.write_bytes(b"no state dict" if content == "text" else b"")
    else:
        names = {name: "features." + name.split(".", 1)[1] for name in build_lpips("alex", None).net.state_dict()}
        shapes = {name: torch.zeros(3) for name in names.values()}
        torch.save({"list": [torch.zeros(3)], "other shapes": shapes, "other names": {"x": 0}}[content], path)
    with pytest.raises(StudyError, match=r"^the file .*alexnet-owt-7be5be79\.pth"):
        build_lpips("alex", Weights(path, "the file"))


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(StudyError, match="alex, vgg, squeeze"):
        find_weights("resnet")
    with pytest.raises(StudyError, match="alex, vgg, squeeze"):
        build_lpips("resnet", None)
    assert perceptual_availability("resnet")[0] is False


def test_a_package_that_is_missing_or_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)  # what Python itself does for a package that must not be found
    available, reason = perceptual_availability(weights="untrained")
    assert not available
    assert "pip install lpips" in reason
    monkeypatch.delitem(sys.modules, "lpips")
    (tmp_path / "lpips.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StudyError, match="lpips"):
        build_lpips("alex", None)


def test_weights_are_downloaded_once_and_checked(
    promised: Callable[[bytes], Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights" * 1000
    with serving(content, len(content)) as address:
        monkeypatch.setattr(pretrained, "DOWNLOADS", address)
        available, reason = perceptual_availability(download=True)  # not what the name promises
        assert not available
        assert "alexnet" in reason
        assert not TRUNKS["alex"].published.cached.exists()
        trunk = promised(content)
        assert perceptual_availability()[0] is False
        assert perceptual_availability(download=True) == (True, "")
    assert [path.name for path in trunk.cached.parent.iterdir()] == [trunk.file]
    assert trunk.cached.read_bytes() == content
    assert find_weights("alex").file == trunk.cached  # the server is gone
    assert perceptual_availability() == (True, "")


def test_a_cache_that_cannot_be_written_is_told_without_its_path(
    promised: Callable[[bytes], Published], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch").write_text("a file where the folder should be")
    promised(b"weights")
    with serving(b"weights", 7) as address:
        monkeypatch.setattr(pretrained, "DOWNLOADS", address)
        with pytest.raises(StudyError, match="alexnet") as error:
            find_weights("alex")
    assert str(tmp_path) not in str(error.value)
