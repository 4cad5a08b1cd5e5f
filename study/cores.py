"""How many processes or threads may work at once."""

from __future__ import annotations


def usable_cores() -> int:
    """Cores that this process may use: those of its CPU affinity, and no more than a container's quota.

    The environment's LOKY_MAX_CPU_COUNT lowers it.
    """
    from joblib import cpu_count  # takes a moment to import

    return cpu_count()
