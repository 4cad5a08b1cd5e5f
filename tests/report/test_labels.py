"""Names beside points: none covers another, whatever the points, and the same points always give the same places."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from study.report.figures_pareto import vividness
from study.report.labels import Name, write_names
from study.report.reading import load_result
from study.report.svg import canvas
from tests.report.synthetic_evidence import MANY


def written(axes: Axes, spots: np.ndarray) -> list:
    """The boxes, in pixels and as drawn, of names at these spots."""
    pixels = axes.transData.transform(spots)
    write_names(axes, [Name(f"arm_number_{i}", tuple(spot), "#2257eb") for i, spot in enumerate(spots)],
                np.hstack([pixels - 5, pixels + 5]))  # fmt: skip
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    # Text alone: the box of an annotation takes in its leader.
    boxes = []
    for note in axes.texts:
        note.update_positions(renderer)
        boxes.append(Text.get_window_extent(note, renderer))
    return boxes


@pytest.mark.parametrize("spread", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("seed", range(6))
def test_no_name_covers_another_or_leaves_the_axes(seed, spread):
    spots = 0.5 + spread * np.random.default_rng(seed).normal(size=(14, 2)).clip(-2, 2)
    with canvas(760, 470, 62, 24, 24, 60) as (_, axes):
        boxes, frame = written(axes, spots), axes.get_window_extent()
    for one, other in combinations(boxes, 2):
        wide, high = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert wide <= 1 or high <= 2
    assert all(box.x0 > frame.x0 - 2 and box.x1 < frame.x1 + 2 for box in boxes)


def test_a_name_stands_close_to_a_lonely_point_and_has_no_leader():
    with canvas(400, 400, 40, 20, 20, 40) as (_, axes):
        write_names(axes, [Name("a$b", (0.5, 0.5), "#2257eb")], np.empty((0, 4)))
        (note,) = axes.texts
        assert not axes.artists and note.get_text() == r"a\$b" and np.hypot(*note.xyann) < 16


def test_a_knot_of_arms_is_framed_and_named_in_an_enlarged_part(make_results):
    figure = vividness(load_result(make_results(arms=MANY[:10], study="knot")))
    assert "the frame above, enlarged" in figure.body and figure.height > 470
    apart = tuple((*arm[:3], 0.2 + 0.2 * i, 11.0 + i, 1.0) for i, arm in enumerate(MANY[:5]))
    figure = vividness(load_result(make_results(arms=apart, study="apart")))
    assert "enlarged" not in figure.body and figure.height == 470
