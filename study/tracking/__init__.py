"""Trackers: copy training runs and searches from results/ into MLflow or TensorBoard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackingSummary:
    """What one call of a tracker did.

    store: address of the MLflow store (without its password), or the folder of the event files.
    recorded, replaced, unchanged: training runs that are new there, that replaced an older record, and that were
    there already.
    missing: declared training runs ("arm/seed-0") without a run record. They are left out.
    open_with: the shell command, or the address, that shows the records.
    trials: search trials that are there now.
    """

    store: str
    study: str
    recorded: int
    replaced: int
    unchanged: int
    missing: tuple[str, ...]
    open_with: str
    trials: int = 0
