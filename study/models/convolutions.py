"""The convolutional parts of AlexNet and VGG16 as torchvision trains them on ImageNet, by layers that can be tapped."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.errors import StudyError
from study.pretrained import PUBLISHED, Weights, find_published

# Mean and standard deviation of ImageNet's pictures, channel by channel, as torchvision's networks expect them removed.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Layer(NamedTuple):
    """A convolution with its ReLU. number: in torchvision's `features`. pool: size of the max pooling before it."""

    number: int
    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pool: int = 0


class Net(NamedTuple):
    """layers: in order. taps: numbers of the layers to read. sha256: of the published convolutional weights."""

    layers: tuple[Layer, ...]
    taps: tuple[int, ...]
    sha256: str


NETS = {
    "alexnet": Net(
        (
            Layer(0, 64, kernel=11, stride=4, padding=2),
            Layer(3, 192, kernel=5, padding=2, pool=3),
            Layer(6, 384, pool=3),
            Layer(8, 256),
            Layer(10, 256),
        ),
        (0, 3, 6, 10),
        "44534cd66e37ce9a6258bb5e845ef8cd47c33aa68024441c7e616d63c0c1c41a",
    ),
    "vgg16": Net(
        (
            Layer(0, 64),
            Layer(2, 64),
            Layer(5, 128, pool=2),
            Layer(7, 128),
            Layer(10, 256, pool=2),
            Layer(12, 256),
            Layer(14, 256),
            Layer(17, 512, pool=2),
            Layer(19, 512),
            Layer(21, 512),
            Layer(24, 512, pool=2),
            Layer(26, 512),
            Layer(28, 512),
        ),
        (7, 14, 21, 28),
        "02ea23240491c2589ec6c79346a0cd2cde49db15b57118399c02f252fb928f83",
    ),
}


class Convolutions(nn.Module):
    """A pretrained network's convolutions. Frozen weights are no part of the state dict; `unfreeze` makes them so.

    Raises StudyError for weights that cannot be found, or that are not those of the network.
    """

    def __init__(self, net: str, weights: str | None = None) -> None:
        super().__init__()
        self.net = NETS[net]
        for name, value in load_weights(net, weights).items():
            self.register_buffer(name.replace(".", "_"), value, persistent=False)

    def unfreeze(self) -> list[nn.Parameter]:
        """Make the weights parameters, and return them."""
        for name, value in list(self.named_buffers()):
            delattr(self, name)
            self.register_parameter(name, nn.Parameter(value))
        return list(self.parameters())

    def forward(self, gray: Tensor) -> list[Tensor]:
        """The tapped layers of gray pictures (N,1,H,W), sRGB in 0..1, from the finest to the coarsest."""
        mean, deviation = (gray.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        x, taps = (gray - mean) / deviation, []
        for layer in self.net.layers:
            if layer.number > self.net.taps[-1]:
                break
            if layer.pool:
                x = F.max_pool2d(x, layer.pool, 2)
            weight, bias = (getattr(self, f"features_{layer.number}_{kind}") for kind in ("weight", "bias"))
            x = F.relu(F.conv2d(x, weight, bias, layer.stride, layer.padding))
            if layer.number in self.net.taps:
                taps.append(x)
        return taps


def load_weights(net: str, path: str | None = None) -> dict[str, Tensor]:
    """The convolutional weights of a network by torchvision's names (features.N.weight, features.N.bias).

    path: of a file of your own with the same names and shapes; without one the published weights. Raises StudyError.
    """
    weights = Weights(Path(path).expanduser(), path) if path else find_published(PUBLISHED[net])
    try:
        found = torch.load(weights.file, map_location="cpu", weights_only=True)
        shapes = _shapes(net)
        if any(tuple(found[name].shape) != shape for name, shape in shapes.items()):
            raise ValueError("shapes")
    except FileNotFoundError as error:
        raise StudyError(f"there is no file {weights.called}: give the path of {net}'s weights") from error
    except Exception as error:  # reading a foreign file as a pickle can raise anything
        raise StudyError(f"{weights.called} cannot be read as {net}'s weights: replace it by torchvision's") from error
    kept = {name: found[name].float() for name in shapes}
    if path is None and _digest(kept) != NETS[net].sha256:
        raise StudyError(f"{weights.called} holds other weights than torchvision's {net}: delete it and fetch it anew")
    return kept


def weights_sha256(net: str, path: str | None = None) -> str:
    """SHA-256 of a network's convolutional weights. Raises StudyError like `load_weights`."""
    if path is None:
        return NETS[net].sha256
    file = Path(path).expanduser()
    if not file.is_file():
        raise StudyError(f"there is no file {path}: give the path of {net}'s weights")
    state = os.stat(file)
    return _digest_of_file(net, path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _digest_of_file(net: str, path: str, changed: int, size: int) -> str:
    return _digest(load_weights(net, path))


def _digest(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _shapes(net: str) -> dict[str, tuple[int, ...]]:
    layers = NETS[net].layers
    shapes: dict[str, tuple[int, ...]] = {}
    for inputs, layer in zip((3, *(before.channels for before, _ in pairwise(layers))), layers, strict=True):
        shapes[f"features.{layer.number}.weight"] = (layer.channels, inputs, layer.kernel, layer.kernel)
        shapes[f"features.{layer.number}.bias"] = (layer.channels,)
    return shapes
