"""Arrays of pictures become tensors with the same values, channels first."""

from __future__ import annotations

import numpy as np
import torch

from study.color.tensors import images_to_tensor


def test_pictures_keep_their_values_and_type_with_channels_first() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    tensor = images_to_tensor(images)
    assert (tensor.dtype, tensor.shape) == (torch.uint8, (2, 3, 3, 5))
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.numpy().transpose(0, 2, 3, 1), images)
    tensor[0, 0, 0, 0] += 1  # a copy
    assert tensor[0, 0, 0, 0] != images[0, 0, 0, 0]
    assert images_to_tensor(images, "meta").is_meta
