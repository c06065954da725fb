"""``segstream trainer``: personas from the samples that workers send, a version every so often."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stream.cli import EXIT_CONFIG, Failure
from stream.commands.broker_options import app_id_option, broker_option
from stream.commands.definitions import checked_file, definitions_argument
from stream.commands.service import host_option, log_to_stderr, port_option, serve
from stream.commands.training import training_parts


@click.command()
@definitions_argument
@broker_option
@app_id_option
@click.option(
    "--session-timeout",
    type=click.FloatRange(1, 1_800),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="A trainer that is silent for so long gives way to another.",
    show_envvar=True,
)
@port_option("probes and metrics")
@host_option
def trainer(
    *, definitions: Path, broker: str, app_id: str, session_timeout: float, port: int | None, host: str
) -> None:
    """Learn personas from the samples that workers send, and publish a version of them every so often.

    DEFINITIONS is the file that the workers have. Of several trainers with the same --id one learns, and the next when
    it is gone: all it knows is in the last version and the samples since. SIGTERM ends it in order. Exit 64 for what
    has to be put right first, 69 when the broker does not answer, 70 when something went wrong that should not.
    """
    from stream.engine.plan import compile_plan

    checked = checked_file(definitions)
    for problem in checked.problems:
        click.echo(str(problem), err=True)
    if checked.definitions is None:
        sys.exit(EXIT_CONFIG)
    if checked.definitions.personas is None:
        raise Failure(f"{definitions}: there is no `personas:` that says which features to cluster by", EXIT_CONFIG)
    plan = compile_plan(checked.definitions)
    with training_parts():
        from stream.trainer.run import Options
        from stream.trainer.run import run as work
    log_to_stderr()
    serve(work(plan, Options(broker, app_id, session_timeout, port, host)))
