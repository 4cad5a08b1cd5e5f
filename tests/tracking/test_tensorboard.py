"""Event files: what TensorBoard reads back, and what a second call leaves."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from study.errors import StudyError
from study.tracking.tensorboard import track_tensorboard
from tests.tracking.helpers import ARMS, SEEDS, STEPS, loss_at, write_study


def events_of(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def test_tensorboard_reads_histories_and_final_scores_back(tmp_path):
    write_study(tmp_path)
    summary = track_tensorboard(tmp_path, "toy", ARMS, [*SEEDS, 7], tmp_path / "tb")

    assert (summary.recorded, summary.missing) == (4, ("mse/seed-7", "vivid/seed-7"))
    events = events_of(tmp_path / "tb" / "toy" / "vivid" / "seed-1")
    total = events.Scalars("train/total")
    assert [point.step for point in total] == list(range(1, STEPS + 1))
    expected = [np.float32(loss_at(step, 1)) for step in range(1, STEPS + 1)]
    np.testing.assert_array_equal([np.float32(point.value) for point in total], expected)
    assert total[-1].wall_time - total[0].wall_time == pytest.approx(11.0)
    assert [(point.step, point.value) for point in events.Scalars("score/chroma")] == [(STEPS, 12.0)]
    nan, inf, last = (point.value for point in events.Scalars("train/hue"))
    assert math.isnan(nan)
    assert (inf, last) == (math.inf, 0.5)


def test_writing_again_replaces_the_folder_of_a_run(tmp_path):
    write_study(tmp_path, seeds=[0])
    track_tensorboard(tmp_path, "toy", ARMS, [0], tmp_path / "tb")
    folder = tmp_path / "tb" / "toy" / "mse" / "seed-0"
    (folder / "events.out.tfevents.1.older").write_bytes(b"left over")

    summary = track_tensorboard(tmp_path, "toy", ARMS, [0], tmp_path / "tb")

    assert (summary.recorded, summary.replaced) == (0, 2)
    (file,) = folder.iterdir()
    assert file.name != "events.out.tfevents.1.older"
    assert len(events_of(folder).Scalars("train/total")) == STEPS


def test_without_tensorboard_the_message_says_what_to_install(tmp_path, monkeypatch):
    write_study(tmp_path)
    for name in [*sys.modules, "tensorboard"]:
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StudyError, match=r"pip install 'colorization-loss-study\[tensorboard\]'"):
        track_tensorboard(tmp_path, "toy", ARMS, SEEDS, tmp_path / "tb")
