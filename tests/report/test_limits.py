"""The limits: values from their tables, and a section that is left out where they are missing."""

from __future__ import annotations

import math

import pytest

from study.report.limits import find_limits
from study.report.render import render_html, render_markdown
from study.report.sections import Report
from tests.report.synthetic import limit_tables


@pytest.fixture
def result(make):
    made = make()
    made.tables.update(limit_tables())
    return made


def test_arms_lie_at_the_mean_of_their_seeds(result):
    spot = find_limits(result).spots["tuned"]
    assert spot.chroma.mean == pytest.approx(40 * 0.99 + 1) and (spot.chroma.low, spot.chroma.high) == (39.6, 41.6)
    roots = [math.sqrt(13.0**2 + seed) for seed in range(3)]
    assert spot.error.mean == pytest.approx(sum(roots) / 3) and spot.error.high == pytest.approx(roots[-1])


def test_excess_is_that_of_the_arm_and_not_its_difference_to_another(result):
    found = find_limits(result)
    share = 13.0 / math.sqrt(139.6) - 1
    assert found.above("tuned") == pytest.approx((share, 2 * share)) and found.above("nobody") is None


def test_curves_are_roots_and_keep_what_they_do_not_say(result):
    curves = find_limits(result).curves
    assert curves["gain"]["error"][-1] == pytest.approx(math.sqrt(148)) and "chroma_limit_exact" in curves
    assert math.isnan(curves["chroma_limit"]["ab_distance"][0])


def test_the_section_follows_the_results_in_both_formats(result):
    report = Report(result)
    assert [one.id for one in report.sections][1:3] == ["results", "limits"]
    page = render_html(report, lambda name: "", lambda name: name)
    text, files = render_markdown(report)
    assert "figures/limits.svg" in text and "limits.svg" in files and 'id="limits"' in page
    assert "exact law" in files["limits.svg"].decode() and "10.0\u00a0%" in text


def test_without_the_tables_there_is_no_section(make):
    made = make()
    assert find_limits(made) is None and "limits" not in {one.id for one in Report(made).sections}
