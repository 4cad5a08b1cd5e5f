"""The freely usable photographs: shipped, in colour, of the size asked for."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from study.data.showcase import PHOTOGRAPHS, photographs


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_photographs_are_read_from_the_installed_packages_without_a_network(no_network, size):
    images, names = photographs(size)
    assert images.shape == (len(PHOTOGRAPHS), size, size, 3)
    assert images.dtype == np.uint8
    assert names == list(PHOTOGRAPHS)
    assert all((image.max(-1).astype(int) - image.min(-1)).max() > 40 for image in images)


def test_photographs_equal_the_area_mean_of_their_central_square():
    import skimage.data

    images, names = photographs(64)
    astronaut = skimage.data.astronaut()  # 512 x 512
    expected = astronaut.reshape(64, 8, 64, 8, 3).mean(axis=(1, 3))
    assert np.abs(images[names.index("astronaut")] - expected).max() <= 1
