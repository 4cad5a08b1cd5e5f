"""Trained networks that travel with git: saving them, and filling the cell store from them."""

from __future__ import annotations

import click

from study.cli.group import ARMS, STUDY, command, project
from study.errors import StudyError


@command("save", "study save photographs mse zhang")
@STUDY
@ARMS
def save(study: str, arms: tuple[str, ...]) -> None:
    """Write the trained networks of arms, rounded to float16, for git: results/STUDY/networks/.

    With their histories and run records. `study restore` brings them back on another machine.
    """
    from study.training.archive import save_networks

    own = project()
    for arm in own.arms(study, arms):
        file = save_networks(own.cells(study, [arm], own.seeds(study)), own.store, own.results(study) / "networks")
        click.echo(f"{file.relative_to(own.root)}: {file.stat().st_size / 1e3:.0f} kB")


@command("restore", "study restore photographs")
@STUDY
@ARMS
def restore(study: str, arms: tuple[str, ...]) -> None:
    """Fill the cell store from results/STUDY/networks/, so that nothing there is trained again.

    Only networks of this code, these data and these settings come back.
    """
    from study.training.archive import arms_in, restore_networks

    own = project()
    folder = own.results(study) / "networks"
    names = arms or tuple(name for name in own.arm_names(study) if name in arms_in(folder))
    if not names:
        raise StudyError(f"there are no networks in {folder.relative_to(own.root)}: study save {study} writes them")
    for arm in own.arms(study, names):
        found = restore_networks(own.cells(study, [arm], own.seeds(study)), folder, own.store)
        parts = [
            f"{len(seeds)} {what}"
            for seeds, what in zip(found, ("restored", "there already", "of other code, data or settings"), strict=True)
            if seeds
        ]
        click.echo(f"{arm.name}: {', '.join(parts)}")
