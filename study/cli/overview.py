"""The commands that look and change nothing: list, plan, doctor, check."""

from __future__ import annotations

import click

from study.cli.group import ARMS, STUDY, command, project
from study.errors import StudyError


@command("list", "study list")
def list_() -> None:
    """List the studies, arms, losses, networks and metrics."""
    from study.config.arms import arm_names, load_arm
    from study.losses import loss_names
    from study.metrics import METRICS
    from study.models import model_names

    own = project()
    pipeline = own.params.pipeline
    click.echo("studies (params.yaml)")
    for name, settings in own.params.studies.items():
        click.echo(f" {'*' if name in pipeline.studies else ' '} {name:<26} {settings.title}")
    click.echo("arms (ablations/)")
    for name in arm_names(own.root):
        mark = "*" if name in [*pipeline.arms, *pipeline.controls, *pipeline.tuned] else " "
        click.echo(f" {mark} {name:<26} {load_arm(own.root, name).description}")
    for what, names in (("losses (study/losses/)", loss_names()), ("networks (study/models/)", model_names())):
        click.echo(what)
        for name in names:
            click.echo(f"   {name}")
    click.echo("metrics (study/metrics/)")
    for metric in METRICS.values():
        better = f"better: {metric.target:g}" if metric.better == "target" else f"better: {metric.better}"
        click.echo(f"   {metric.name:<26} {metric.unit:<16} {better if metric.better else 'compare with the truth'}")
    click.echo("* = part of the pipeline that `dvc repro` runs")


@command("plan", "study plan palette_world")
@STUDY
@ARMS
def plan(study: str, arms: tuple[str, ...]) -> None:
    """Show the training runs of a study and how far each one is."""
    from study.cores import usable_cores
    from study.training.schedule import step_count

    own = project()
    settings = own.study(study)
    names = arms or own.arm_names(study)
    waiting = own.waiting(study, names)
    ready = [name for name in names if name not in waiting]
    cells = own.cells(study, own.arms(study, ready), settings.seeds) if ready else []
    steps = step_count(settings.train.images, settings.train.batch)
    click.echo(f"{study}: {settings.title}")
    click.echo(
        f"data {settings.data.source}, network {settings.model.name}, {len(settings.seeds)} seeds, "
        f"{steps:,} steps of {settings.train.batch} pictures per run"
    )
    speeds, missing = [], 0
    for cell in cells:
        record = own.store.record(cell.signature)
        if record is None and cell.sources:
            state = "to be made"  # a control, in a second
        elif record is None:
            state = f"{100 * own.store.progress(cell) / cell.train.images:.0f} % trained"
            missing += cell.train.images - own.store.progress(cell)
        else:
            state = record["status"]
            speeds.append(record["images_per_s"] or 0)
        click.echo(f"  {cell.arm.name:<26} seed {cell.seed:<4} {cell.signature}  {state}")
    for name in waiting:
        click.echo(f"  {name:<26} waits for its weights: study search {study}")
    if missing and speeds:
        cores = usable_cores()
        minutes = missing / sorted(speeds)[len(speeds) // 2] / cores / 60
        click.echo(f"about {minutes:.0f} minutes of training left on {cores} cores")


@command("doctor", "study doctor")
def doctor() -> None:
    """Check that this machine and this project have all that a study needs."""
    from study.doctor import examine

    sound = True
    for check in examine(project()):
        sound &= check.passed
        click.echo(f"{'ok  ' if check.passed else 'FAIL'}  {check.what}: {check.found}")
    if not sound:
        raise StudyError("something above failed; each line says what to do")


@command("check", "study check pinball")
@click.argument("arms", metavar="ARM...", nargs=-1, required=True)
def check(arms: tuple[str, ...]) -> None:
    """Test an arm's loss, your own too: gradients, gray pictures, precision, shapes, determinism.

    Needs no data and no training. Each check is a line. When one fails, the command fails.
    """
    from study.doctor import check_arm

    own, failed = project(), 0
    for name in arms:
        click.echo(name)
        for item in check_arm(own, name):
            failed += not item.passed
            click.echo(f"  {'ok  ' if item.passed else 'FAIL'}  {item.what}: {item.found}")
    if failed:
        raise StudyError(f"{failed} {'check' if failed == 1 else 'checks'} failed; each line says what was found")
