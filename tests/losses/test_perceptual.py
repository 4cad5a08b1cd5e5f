"""PerceptualLoss on an untrained trunk, and where its weights come from."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import lpips
import pytest
import torch
from torch import Tensor

from study.color import lab_to_rgb
from study.errors import StudyError
from study.losses import ColorizationAntiAverageLoss, PerceptualLoss, perceptual_availability
from study.losses import perceptual as module


@pytest.fixture(scope="module")
def perceptual() -> PerceptualLoss:
    return PerceptualLoss(weights="untrained")


@pytest.fixture(autouse=True)
def _no_weights_of_the_machine(monkeypatch, tmp_path):
    """An empty hub cache and a server that refuses: no test depends on the machine or reaches out."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("STUDY_LPIPS_WEIGHTS", raising=False)
    monkeypatch.setattr(module, "DOWNLOADS", "http://127.0.0.1:9")


def pictures(seed: int, n: int = 2, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([60.0, 40.0, 40.0]).view(3, 1, 1)
    return torch.rand(n, 3, size, size, generator=generator) * scale + torch.tensor([20.0, -20.0, -20.0]).view(3, 1, 1)


@pytest.fixture(scope="module")
def trunk_weights(perceptual, tmp_path_factory) -> Path:
    """A state dict as torchvision writes it, with weights unlike those of the untrained trunk."""
    state = {f"features.{name.split('.', 1)[1]}": 0.5 * w for name, w in perceptual.lpips.net.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "alex.pth"
    torch.save(state, path)
    return path


def test_identical_pictures_have_distance_zero(perceptual):
    assert perceptual(pictures(0), pictures(0)) == 0


def test_value_is_lpips_of_the_srgb_pictures(perceptual):
    pred, target = pictures(0), pictures(1)
    ours = perceptual(pred, target)
    theirs = perceptual.lpips(lab_to_rgb(pred) * 2 - 1, lab_to_rgb(target) * 2 - 1).mean()
    assert ours.ndim == 0
    assert ours.item() > 0
    torch.testing.assert_close(ours, theirs)


def test_gradient_reaches_the_prediction_only(perceptual):
    pred, target = pictures(0).requires_grad_(), pictures(1)
    perceptual(pred, target).backward()
    assert pred.grad.isfinite().all()
    assert pred.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in perceptual.parameters())


def test_a_step_against_the_gradient_lowers_the_distance(perceptual):
    pred, target = pictures(0).requires_grad_(), pictures(1)
    before = perceptual(pred, target)
    (gradient,) = torch.autograd.grad(before, pred)
    after = perceptual(pred - 0.5 * gradient / gradient.abs().max(), target)
    assert after < before


def test_distance_and_gradient_are_symmetric(perceptual):
    one, other = pictures(0), pictures(1).requires_grad_()
    forth, back = perceptual(one, other), perceptual(other, one)
    torch.testing.assert_close(forth, back)
    torch.testing.assert_close(torch.autograd.grad(forth, other)[0], torch.autograd.grad(back, other)[0])


def test_gradient_is_finite_for_black_white_and_colors_out_of_gamut(perceptual):
    for color in ((0.0, 0.0, 0.0), (100.0, 0.0, 0.0), (50.0, 1e4, -1e4)):
        pred = torch.tensor(color).view(1, 3, 1, 1).repeat(1, 1, 32, 32).requires_grad_()
        perceptual(pred, pictures(1, n=1)).backward()
        assert pred.grad.isfinite().all()


def test_gradient_is_finite_where_all_features_are_zero():
    loss = PerceptualLoss(weights="untrained")
    for bias in (p for name, p in loss.lpips.net.named_parameters() if name.endswith("bias")):
        bias.fill_(-1e3)
    pred = pictures(0).requires_grad_()
    loss(pred, pictures(1)).backward()
    assert pred.grad.isfinite().all()


def test_computes_in_float32_under_autocast(perceptual):
    pred, target = pictures(0), pictures(1)
    with torch.autocast("cpu", torch.bfloat16):
        value = perceptual(pred, target)
    torch.testing.assert_close(value, perceptual(pred, target), rtol=0, atol=0)


def test_stays_in_evaluation_mode_inside_a_module_in_training(perceptual):
    torch.nn.Sequential(perceptual).train()
    assert not any(part.training for part in perceptual.modules())


def test_adds_to_the_anti_average_loss_in_one_line(perceptual):
    pred, target = pictures(0).requires_grad_(), pictures(1)
    total = ColorizationAntiAverageLoss()(pred, target)["total"] + 0.3 * perceptual(pred, target)
    total.backward()
    assert pred.grad.isfinite().all()


def test_wrong_shapes_are_named(perceptual):
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\).*\(2, 3, 32, 32\)"):
        perceptual(pictures(0, n=1), pictures(1))
    with pytest.raises(ValueError, match=r"31 pixels.*\(2, 3, 16, 16\)"):
        perceptual(pictures(0, size=16), pictures(1, size=16))
    with pytest.raises(ValueError, match=r"\(N,3,H,W\).*\(2, 2, 32, 32\)"):
        perceptual(pictures(0)[:, 1:], pictures(1)[:, 1:])


def test_importing_and_asking_for_availability_does_not_import_torchvision():
    code = (
        "import sys; from study.losses import perceptual_availability; perceptual_availability('alex');"
        "sys.exit('lpips' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


@pytest.mark.parametrize("way", ["argument", "variable", "cache"])
def test_weights_come_from_a_path_a_variable_or_the_hub_cache(way, trunk_weights, monkeypatch):
    argument = None
    if way == "argument":
        argument = trunk_weights
    elif way == "variable":
        monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(trunk_weights))
    else:
        cached = module.TRUNKS["alex"].cached
        cached.parent.mkdir(parents=True)
        cached.write_bytes(trunk_weights.read_bytes())
    assert perceptual_availability("alex", argument) == (True, "")
    loss = PerceptualLoss(weights=argument)
    expected = torch.load(trunk_weights, map_location="cpu")["features.3.weight"]
    torch.testing.assert_close(loss.lpips.net.state_dict()["slice2.3.weight"], expected)
    packaged = torch.load(Path(lpips.__file__).parent / "weights/v0.1/alex.pth", map_location="cpu")
    torch.testing.assert_close(loss.lpips.lin0.model[1].weight, packaged["lin0.model.1.weight"])


def test_without_weights_one_line_says_what_to_do():
    with pytest.raises(StudyError, match="STUDY_LPIPS_WEIGHTS") as error:
        PerceptualLoss()
    assert "\n" not in str(error.value)
    available, reason = perceptual_availability()
    assert not available
    assert "alexnet-owt-7be5be79.pth" in reason
    available, reason = perceptual_availability(download=True)
    assert not available
    assert "could not be fetched" in reason


def test_a_missing_or_wrong_file_is_named(tmp_path):
    missing, wrong, other = tmp_path / "missing.pth", tmp_path / "wrong.pth", tmp_path / "other.pth"
    wrong.write_bytes(b"not a state dict")
    torch.save({"features.0.weight": torch.zeros(3)}, other)
    for path in (missing, wrong, other):
        with pytest.raises(StudyError, match=path.name):
            PerceptualLoss(weights=path)
    assert perceptual_availability("alex", missing)[0] is False


def test_an_unknown_network_is_refused():
    with pytest.raises(StudyError, match="alex, vgg, squeeze"):
        PerceptualLoss(net="resnet")
    assert perceptual_availability("resnet")[0] is False


def test_weights_are_downloaded_once_and_checked(trunk_weights, monkeypatch):
    content = trunk_weights.read_bytes()

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(module, "DOWNLOADS", f"http://127.0.0.1:{server.server_port}")
        available, reason = perceptual_availability(download=True)  # not what the name promises
        assert not available
        assert "something other" in reason
        trunk = module.Trunk(f"alexnet-{sha256(content).hexdigest()[:8]}.pth", 31)
        monkeypatch.setitem(module.TRUNKS, "alex", trunk)
        assert perceptual_availability(download=True) == (True, "")
        server.shutdown()
    assert trunk.cached.read_bytes() == content
    assert perceptual_availability() == (True, "")
