"""The words of the answer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from study.search.advice import _chroma


@pytest.mark.parametrize(("seeds", "over"), [(1, " over the pictures alone"), (3, "")])
def test_a_share_of_the_chroma_comes_with_its_interval_and_one_seed_does_not_pass_for_several(
    seeds: int, over: str
) -> None:
    search = SimpleNamespace(settings=SimpleNamespace(fresh_seeds=seeds))
    said = _chroma(search, {"chroma_ratio": 0.9806, "chroma_interval": [0.9392, 1.0221]})
    assert said == f"98 % of the chroma (95 % interval{over} 94 to 102 %)"
