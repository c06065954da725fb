"""``segstream personas``: models of personas, made from files of events or published live."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_CONFIG, EXIT_FOUND, Failure
from stream.commands.broker_options import broker_option, run
from stream.commands.definitions import definitions_argument
from stream.commands.model_files import read_models
from stream.commands.outputs import OUTPUT_FILE, STANDARD, Output, check_apart
from stream.commands.plans import plan_of, prepare_aloud
from stream.commands.training import check_personas, training_parts

if TYPE_CHECKING:
    from stream.engine.changes import Changes
    from stream.personas.model import Model
    from stream.personas.publication import Publication


#: Of how many versions before `show` gives the shares.
_SHARES_BACK = 7


@click.group()
def personas() -> None:
    """Cluster customers into personas: learn models, and see what sets each persona apart."""


@personas.command()
@definitions_argument
@click.argument("events", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--output",
    type=OUTPUT_FILE,
    default=STANDARD,
    show_default=True,
    help="Where the models go, one JSON object a line, for `segstream replay --personas`; - is standard output.",
    show_envvar=True,
)
@click.option("--sort", is_flag=True, help="Sort the events by time first (in runs on disk).", show_envvar=True)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Another one finds the first centres from other samples.",
    show_envvar=True,
)
def train(*, definitions: Path, events: tuple[str, ...], output: str, sort: bool, seed: int) -> None:
    """Learn personas from files of events, as a trainer beside running workers would have.

    DEFINITIONS has the `personas:`; EVENTS are JSON lines, in the order of their time (or --sort). Time is that of the
    events: a model for each `every`. A table of the last one goes to standard error. Exit 0, 1 where no model came out,
    64 for bad definitions.

    \b
    Example:
      segstream personas train segments.yaml events.jsonl --output models.jsonl
      segstream replay segments.yaml events.jsonl --personas models.jsonl --output changes.jsonl
    """  # noqa: D301 (click knows that character)
    from stream.personas.model import encode
    from stream.replay.run import Outlets, replay
    from stream.replay.screen import progress_bar

    check_apart({"--output": output}, [str(definitions), *events])
    plan = plan_of(definitions, events)
    check_personas(plan, definitions)
    with training_parts():
        from stream.replay.training import Training
    published: list[Publication] = []
    with contextlib.ExitStack() as stack:
        models = stack.enter_context(Output(output))
        prepare_aloud(plan)
        bar = stack.enter_context(progress_bar(events, sort=sort, doing="training"))

        def publish(publication: Publication) -> None:
            published.append(publication)
            if publication.model is not None:
                models.write(encode(publication.model) + b"\n")

        outlets = Outlets(
            changes=_nothing,
            bytes_read=bar.bytes_read if bar else None,
            bytes_sorted=bar.bytes_sorted if bar else None,
        )
        training = Training(plan, seed, publish)
        replay(plan, events, outlets, sort=sort, versions=training)
    last = next((one.model for one in reversed(published) if one.model is not None), None)
    if last is None:
        why = published[-1].reason if published else "the events end before the first version is due"
        raise Failure(f"no model came out: {why}", EXIT_FOUND)
    _show(last, published)


_version_option = click.option(
    "--version", type=click.IntRange(1), help="Which version. Default: the last one.", show_envvar=True
)


@personas.command()
@click.argument("models", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@broker_option
@_version_option
def show(*, models: Path | None, broker: str, version: int | None) -> None:
    """Show the personas of a version: how large they are, what sets them apart, and where their centres lie.

    MODELS is what `segstream personas train` or `segstream personas models` wrote; without it the versions are those in
    the topic persona-models. Beside the share of each persona is the one it had seven versions before; the numbers
    below it are those of its centre, in the features' own units. Exit 64 where there is no such version.
    """
    found = _published(broker) if models is None else {model.version: model for model in read_models(models)}
    for line in _lines(_chosen(found, version), found):
        click.echo(line)


@personas.command("models")
@broker_option
@click.option(
    "--output",
    type=OUTPUT_FILE,
    default=STANDARD,
    show_default=True,
    help="Where they go, one JSON object a line, for `segstream replay --personas`; - is standard output.",
    show_envvar=True,
)
def models_(*, broker: str, output: str) -> None:
    """Write the versions that trainers have published: those that the topic persona-models still has.

    Exit 64 where there is none or topics are missing, 69 when no broker answers.
    """
    from stream.personas.model import encode

    found = _published(broker)
    _chosen(found, None)
    with Output(output) as lines:
        for model in found.values():
            lines.write(encode(model) + b"\n")


@personas.command()
@click.argument("version", type=click.IntRange(1))
@broker_option
def pin(*, version: int, broker: str) -> None:
    """Stay at VERSION, or go back to it: the trainer publishes it again, and no other until `unpin`.

    Exit 64 where there is no such version, 69 when no broker answers.
    """
    from stream.kafka.models import pin as send

    _chosen(_published(broker), version)
    run(send(broker, version))
    click.echo(
        f"personas stay at version {version}, as soon as a trainer is running; `segstream personas unpin` ends it"
    )


@personas.command()
@broker_option
def unpin(*, broker: str) -> None:
    """Let personas be learned again: the next version is made when it is due.

    Exit 64 where no version is pinned, 69 when no broker answers.
    """
    from stream.kafka.models import pin as send
    from stream.kafka.models import published_models

    if run(published_models(broker)).pinned is None:
        raise Failure("no version is pinned", EXIT_CONFIG)
    run(send(broker, None))
    click.echo("personas are learned again")


def _published(broker: str) -> dict[int, Model]:
    from stream.kafka.models import published_models

    return dict(sorted(run(published_models(broker)).versions.items()))


def _chosen(found: dict[int, Model], version: int | None) -> Model:
    """The version that was asked for, or the last one; ends the command where it is not there."""
    if not found:
        raise Failure("there is no version of personas yet: `segstream trainer` publishes some", EXIT_CONFIG)
    wanted = max(found) if version is None else version
    if wanted not in found:
        raise Failure(f"there is no version {wanted}; there are {min(found)} to {max(found)}", EXIT_CONFIG)
    return found[wanted]


def _lines(model: Model, all_models: dict[int, Model]) -> Iterator[str]:
    """What there is to say of a version."""
    from stream.personas.model import restored

    quality, earlier = model.quality, all_models.get(model.version - _SHARES_BACK)
    copy = f" (again version {model.copy_of})" if model.copy_of is not None else ""
    yield f"version {model.version} of {model.effective_at}{copy}: {len(model.personas)} personas"
    yield f"mean distance from the centres {quality.distance:.3f}, silhouette {quality.silhouette:.2f}"
    before = {persona.number: persona.share for persona in earlier.personas} if earlier else {}
    for persona, centre in sorted(zip(model.personas, model.centres, strict=True), key=lambda pair: -pair[0].share):
        share = before.get(persona.number)
        was = f" (was {share:.1%})" if share is not None else " (new)" if earlier else ""
        yield f"p{persona.number}  {persona.share:.1%}{was}  {persona.label}"
        values = zip(model.features, restored(centre).tolist(), strict=True)
        yield from (f"      {value:>10,.1f}  {feature}" for feature, value in values)


def _nothing(_: Changes) -> None:
    """Training wants no changes."""


def _show(last: Model, published: list[Publication]) -> None:
    """The last model, and what became of the others, on standard error."""
    from stream.personas.publication import Birth, Death

    made = sum(one.model is not None for one in published)
    births = sum(isinstance(event, Birth) for one in published for event in one.events)
    deaths = sum(isinstance(event, Death) for one in published for event in one.events)
    click.echo(
        f"version {last.version} of {last.effective_at}; {made} published, {len(published) - made} not", err=True
    )
    click.echo(f"{births} births, {deaths} deaths; mean distance {last.quality.distance:.3f}", err=True)
    for persona in last.personas:
        click.echo(f"  p{persona.number:<4} {persona.share:>6.1%}  {persona.label}", err=True)
