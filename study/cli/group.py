"""What all commands share: the group that they belong to, their arguments, and the project that they work on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from study.errors import PartlyDone, StudyError, did_you_mean

STUDY = click.argument("study", metavar="STUDY")
ARMS = click.argument("arms", metavar="[ARM]...", nargs=-1)
JOBS = click.option(
    "--jobs", type=click.IntRange(1), default=None, help="Training runs at once. Default: one per usable core."
)


def project() -> Any:
    """The project around the working directory. Run by DVC, it refuses a folder in which DVC would fail later."""
    from study.project import Project, pipeline_problem

    own = Project.open(Path.cwd())
    if "DVC_ROOT" in os.environ and (problem := pipeline_problem(own.root)):
        raise StudyError(problem)
    return own


def jobs_of(wanted: int | None) -> int:
    """How many training runs go at once."""
    from study.cores import usable_cores

    return wanted or usable_cores()


class Commands(click.Group):
    """Lists commands in the order of the work, and guesses what a mistyped one was meant to be."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Command names as they were added."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command of that name; a usage error that names the nearest one otherwise."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"unknown command {args[0]!r}; {did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


def command(name: str, example: str) -> Any:
    """Decorator of a command; its help ends with an example."""
    return study.command(name, epilog=f"Example: {example}")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: study run smoke")
@click.version_option(package_name="colorization-loss-study")
def study() -> None:
    """Which colorization loss cures sepia, at which weights, and at what cost?

    `dvc repro` runs a whole study. Every step of it is a command here. STUDY is a block of params.yaml. ARM is a file
    of ablations/. Without arms, a command takes all arms of the study.
    """


def raise_failures(failures: list[str], some_done: bool) -> None:
    """Raise what went wrong with some arms, if anything: as PartlyDone where others came through."""
    if failures:
        raise PartlyDone("; ".join(failures)) if some_done else StudyError(failures[0])
