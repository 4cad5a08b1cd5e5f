"""Drawing on several cores: the same figures as on one, and failures that reach the person who asked."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from study.errors import StudyError
from study.report import ahead, figures_pareto
from study.report.page import Page
from study.report.reading import load_result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="figures are drawn in forked processes on Linux only")

FEW = ("ledger", "vividness", "bars")  # the one that goes wrong is neither the first nor the last


def test_several_processes_make_what_one_makes_and_leave_nothing_to_the_page(everything, monkeypatch):
    # The rest is compared where a whole report is made twice, once with several cores (test_report.py).
    monkeypatch.setattr(ahead, "SLOW", names := ("seeds", "curves", "ledger", "vividness", "gallery", "duels"))
    result = load_result(everything[0])
    apart, alone = Page(result), Page(result)
    ahead.draw_ahead(apart, processes=3)
    assert set(names) <= set(vars(apart))
    for name in names:
        assert vars(apart)[name] == getattr(alone, name), name


def test_one_core_leaves_everything_to_the_page(everything):
    page = Page(load_result(everything[0]))
    ahead.draw_ahead(page, processes=1)
    assert not set(ahead.SLOW) & set(vars(page))


def test_what_a_figure_raises_arrives_as_it_is(everything, monkeypatch):
    def broken(_result):
        raise StudyError("seeds.csv holds nonsense: run study compare again")

    monkeypatch.setattr(figures_pareto, "vividness", broken)
    monkeypatch.setattr(ahead, "SLOW", FEW)
    with pytest.raises(StudyError, match=r"^seeds\.csv holds nonsense: run study compare again$"):
        ahead.draw_ahead(Page(load_result(everything[0])), processes=2)


def test_a_process_that_is_killed_is_told_in_one_line(everything, monkeypatch):
    monkeypatch.setattr(figures_pareto, "vividness", lambda _result: os.kill(os.getpid(), signal.SIGKILL))
    monkeypatch.setattr(ahead, "SLOW", FEW)
    with pytest.raises(StudyError, match=r"ended from outside.*run the same command again"):
        ahead.draw_ahead(Page(load_result(everything[0])), processes=2)
