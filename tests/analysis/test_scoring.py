"""Tables of scores: every metric over all pixels, some by kind of region, and the ratio of sums over a set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from study.analysis.scoring import TestSet as Pictures
from study.analysis.scoring import score_table
from study.data.color_distribution import ColorDistribution
from study.metrics import METRICS

SKY, ROOF, FLOWER, ABSENT = range(4)
WORLD = ColorDistribution(
    ("sky", "roof", "flower", "absent"),
    np.array(
        [[[10.0, -40.0], [-30.0, 10.0]], [[20.0, 30.0], [np.nan, np.nan]], [[50.0, 0.0], [0.0, 50.0]], [[1, 1], [9, 9]]]
    ),
    np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]),
)


def photographs(count: int) -> Pictures:
    """Pictures of very different colourfulness, as a set without a known colour distribution."""
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(count, 3, 12, 12, generator=generator) * 20 + torch.tensor([40.0, -10, -10]).view(3, 1, 1)
    lab[:, 1:] *= torch.rand(count, 1, 1, 1, generator=generator) * 3
    return Pictures(lab, [f"picture {k}" for k in range(count)], torch.full((313,), 1 / 313), None, None)


def scenes(count: int = 6) -> tuple[Pictures, np.ndarray]:
    """Pictures of a known world and the kind of their pixels; the first one is all roof."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, (count, 12, 12))
    kinds[0] = ROOF
    images = rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)
    return Pictures.of(images, [str(k) for k in range(count)], np.full(313, 1 / 313), WORLD, kinds), kinds


def predicted(count: int) -> torch.Tensor:
    return 30 * torch.randn(count, 2, 12, 12, generator=torch.Generator().manual_seed(1))


def chroma_ratios(ab: torch.Tensor, test: Pictures) -> np.ndarray:
    table = score_table(ab, test)
    return table.loc[table["metric"] == "chroma_ratio", "value"].to_numpy()


def test_a_row_for_every_picture_and_metric_that_can_be_measured() -> None:
    test = photographs(130)  # more than a batch
    table = score_table(predicted(130), test)
    needs_more = {"lpips", "averaging_index", "mode_commitment", "regret"}
    assert list(dict.fromkeys(table["metric"])) == [name for name in METRICS if name not in needs_more]
    assert set(table["region"]) == {"all"}
    assert table.groupby("metric")["image"].apply(lambda names: sorted(names) == sorted(test.names)).all()


def test_every_kind_of_region_is_described_and_what_needs_several_colours_is_measured_where_there_are() -> None:
    test, _ = scenes()
    table = score_table(predicted(6), test)
    assert {"averaging_index", "mode_commitment", "regret"} <= set(table.loc[table["region"] == "all", "metric"])
    by_region = table[table["region"] != "all"].groupby("region")["metric"].unique().apply(set)
    everywhere = {"ab_rmse", "chroma", "true_chroma", "a_mean", "b_mean", "spread"}
    several = everywhere | {"averaging_index", "mode_commitment"}
    assert by_region.to_dict() == {"sky": several, "roof": everywhere, "flower": several, "absent": several}


def test_scores_of_a_region_are_means_over_its_pixels_and_nan_where_there_are_none() -> None:
    test, kinds = scenes()
    ab = predicted(6)
    table = score_table(ab, test).set_index(["metric", "region", "image"])["value"]
    for index, kind in enumerate(WORLD.regions):
        for k, name in enumerate(test.names):
            inside = kinds[k] == index
            pixels, true = ab[k].numpy()[:, inside], test.lab[k, 1:].numpy()[:, inside]
            if not inside.any():
                assert table[:, kind, name].isna().all()
                continue
            expected = {
                "a_mean": pixels[0].mean(),
                "b_mean": pixels[1].mean(),
                "chroma": np.hypot(*pixels).mean(),
                "true_chroma": np.hypot(*true).mean(),
                "ab_rmse": np.sqrt(np.square(pixels - true).mean()),
                "spread": np.sqrt(pixels.var(axis=1).sum()),
            }
            for metric, value in expected.items():
                assert table[metric, kind, name] == pytest.approx(value, rel=1e-4, abs=1e-4)


def test_regret_is_a_share_of_what_the_whole_set_can_reach() -> None:
    test, kinds = scenes()
    ab = predicted(6)
    table = score_table(ab, test)
    found = table.loc[table["metric"] == "regret", "value"].to_numpy()
    mean = torch.from_numpy(WORLD.mean)[torch.from_numpy(kinds)].permute(0, 3, 1, 2)
    excess = (ab - mean).square().sum(1).mean((1, 2)) / 2
    np.testing.assert_allclose(found, excess / WORLD.variance[kinds].mean(), rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.7])
def test_painting_a_fixed_share_of_the_chroma_is_that_ratio_without_any_spread(share: float) -> None:
    test = photographs(230)
    np.testing.assert_allclose(chroma_ratios(share * test.lab[:, 1:], test), share, atol=1e-5)


def test_the_chroma_ratio_has_the_mean_and_the_spread_of_the_ratio_of_sums() -> None:
    test = photographs(300)
    ab = 0.6 * test.lab[:, 1:] * (0.5 + torch.rand(300, 1, 1, 1, generator=torch.Generator().manual_seed(1)))
    values = chroma_ratios(ab, test)
    painted_chroma, truth = (x.norm(dim=1).mean((1, 2)).double().numpy() for x in (ab, test.lab[:, 1:]))
    assert values.mean() == pytest.approx(painted_chroma.sum() / truth.sum(), rel=1e-6)
    picked = np.random.default_rng(0).integers(0, 300, (20_000, 300))
    spread = (painted_chroma[picked].sum(1) / truth[picked].sum(1)).std()
    assert values[picked].mean(1).std() == pytest.approx(spread, rel=0.03)


class Half(torch.nn.Module):
    """Stands in for an LPIPS network."""

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return 0.5 * (one - other).abs().amax((1, 2, 3))


def test_lpips_is_measured_where_there_is_its_network() -> None:
    test = photographs(4)
    table = score_table(test.lab[:, 1:], test, Half())
    assert (table.loc[table["metric"] == "lpips", "value"] == 0).all()
