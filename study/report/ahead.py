"""The figures and pictures of a page, made on all cores at once before the page is written."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from study.cores import usable_cores
from study.errors import StudyError
from study.report.page import Page

# Properties of a page, those that take longest first, so that no core has to wait long for another at the end.
SLOW = (
    "search_figures", "seeds", "forests", "terms", "curves", "planes", "theory", "ledger", "effects", "kinds",
    "lengths", "vividness", "gallery", "spreads", "duels", "bars", "usage", "key",
)  # fmt: skip
MOST_PROCESSES = 4  # more would wait for the longest of the list

_page: Page | None = None  # what a drawing process works on


def draw_ahead(page: Page, processes: int | None = None) -> None:
    """Make everything in SLOW in several processes, as many as there are cores unless told, and keep it in the page.

    What is made depends on the result alone, not on the process that makes it, so the bytes are the same with any
    number. With one core, and on systems whose processes cannot be forked safely, nothing happens here: a page makes
    what it is asked for by itself. Forking, because a fresh process would spend longer on imports than on drawing.
    Raises what a figure raises, and StudyError when a process is ended from outside.
    """
    processes = min(usable_cores(), MOST_PROCESSES) if processes is None else processes
    # A daemonic process, such as a worker of somebody's pool, may not have processes of its own.
    if processes < 2 or sys.platform != "linux" or multiprocessing.current_process().daemon:
        return
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, fork, initializer=_receive, initargs=(page,)) as pool:
        jobs = {name: pool.submit(_make, name) for name in SLOW}
        try:
            # The values of a cached property lie in the object's own dictionary.
            vars(page).update({name: job.result() for name, job in jobs.items()})
        except BrokenProcessPool as error:
            raise StudyError(
                "a process that draws figures was ended from outside, perhaps for want of memory: run the same "
                "command again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _receive(page: Page) -> None:
    global _page
    _page = page


def _make(name: str) -> Any:
    return getattr(_page, name)
