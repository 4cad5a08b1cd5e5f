"""As much work at once as this process is given cores for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def counted(preexec: object = None, **environment: str) -> int:
    """What a process of its own counts."""
    command = [sys.executable, "-c", "from study.cores import usable_cores; print(usable_cores())"]
    own = {name: value for name, value in os.environ.items() if name != "LOKY_MAX_CPU_COUNT"} | environment
    done = subprocess.run(command, env=own, preexec_fn=preexec, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_no_more_than_the_machine_has() -> None:
    assert 1 <= counted() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to cores")
def test_a_process_that_is_pinned_to_one_core_uses_one() -> None:
    one = {min(os.sched_getaffinity(0))}
    assert counted(preexec=lambda: os.sched_setaffinity(0, one)) == 1


def test_the_environment_lowers_it() -> None:
    assert counted(LOKY_MAX_CPU_COUNT="1") == 1
