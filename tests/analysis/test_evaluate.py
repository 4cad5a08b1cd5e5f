"""What the evaluation keeps beside the scores: how pictures use colour, and the pictures themselves."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.analysis.evaluate import TestSet as Pictures
from study.analysis.evaluate import color_use, score_table
from tests.conftest import REPOSITORY


def painted(a: float, b: float, size: int = 4) -> torch.Tensor:
    return torch.tensor([a, b]).view(1, 2, 1, 1).expand(2, 2, size, size)


def test_one_colour_fills_one_cell_of_each_histogram() -> None:
    use = color_use("", painted(12.0, -7.0))
    assert use["histogram_ab"].sum() == 32
    assert np.argwhere(use["histogram_ab"]).tolist() == [[24, 20]]  # a in 10..15, b in -10..-5
    assert np.flatnonzero(use["histogram_hue"]).tolist() == [14]  # atan2(-7, 12) = -30.3 degrees
    assert np.flatnonzero(use["histogram_chroma"]).tolist() == [5]  # 13.9
    assert use["histogram_hue"].sum() == pytest.approx(1)


def test_gray_has_no_hue() -> None:
    use = color_use("true_", painted(0.0, 0.0))
    assert use["true_histogram_hue"].sum() == 0
    assert use["true_histogram_chroma"][0] == 32


@given(st.lists(st.tuples(st.floats(-200, 200), st.floats(-200, 200)), min_size=1, max_size=30))
def test_no_pixel_is_lost_however_vivid(colors: list[tuple[float, float]]) -> None:
    ab = torch.tensor(colors).T.reshape(1, 2, 1, -1)
    use = color_use("", ab)
    assert use["histogram_ab"].sum() == use["histogram_chroma"].sum() == len(colors)


def test_evaluating_does_not_wait_for_the_compiler() -> None:
    code = textwrap.dedent("""
        import sys
        import torch
        import study.analysis.evaluate
        from study.losses import ClassificationLoss
        from study.training.memory import peak_bytes
        from study.metrics import rebalanced_auc
        from study.training.machine import prepare_torch
        prepare_torch()
        ab = 20 * torch.randn(2, 2, 8, 8)
        rebalanced_auc(ab, ab + 1, torch.full((313,), 1 / 313))
        logits = torch.zeros(2, 313, 8, 8, requires_grad=True)
        peak_bytes(lambda: ClassificationLoss()(logits, ab)["total"].backward(), torch.device("cpu"))
        print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _photographs(count: int) -> Pictures:
    """Pictures of very different colourfulness, as a set without a known law."""
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(count, 3, 12, 12, generator=generator) * 20 + torch.tensor([40.0, -10, -10]).view(3, 1, 1)
    lab[:, 1:] *= torch.rand(count, 1, 1, 1, generator=generator) * 3
    return Pictures(lab, [f"picture {k}" for k in range(count)], torch.full((313,), 1 / 313), None, None)


def _chroma_ratios(ab: torch.Tensor, test: Pictures) -> np.ndarray:
    table = score_table(ab, test, None)
    return table.loc[table["metric"] == "chroma_ratio", "value"].to_numpy()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.7])
def test_painting_a_fixed_share_of_the_chroma_is_that_ratio_without_any_spread(share: float) -> None:
    test = _photographs(230)
    np.testing.assert_allclose(_chroma_ratios(share * test.lab[:, 1:], test), share, atol=1e-5)


def test_the_chroma_ratio_has_the_mean_and_the_spread_of_the_ratio_of_sums() -> None:
    test = _photographs(300)
    ab = 0.6 * test.lab[:, 1:] * (0.5 + torch.rand(300, 1, 1, 1, generator=torch.Generator().manual_seed(1)))
    values = _chroma_ratios(ab, test)
    painted_chroma, truth = (x.norm(dim=1).mean((1, 2)).double().numpy() for x in (ab, test.lab[:, 1:]))
    assert values.mean() == pytest.approx(painted_chroma.sum() / truth.sum(), rel=1e-6)
    picked = np.random.default_rng(0).integers(0, 300, (20_000, 300))
    spread = (painted_chroma[picked].sum(1) / truth[picked].sum(1)).std()
    assert values[picked].mean(1).std() == pytest.approx(spread, rel=0.03)
