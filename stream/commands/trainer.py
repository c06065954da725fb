"""``segstream trainer``: personas from the samples that workers send, a version every so often."""

from __future__ import annotations

from pathlib import Path

import click

from stream.commands.broker_options import app_id_option, broker_option
from stream.commands.definitions import checked_file, definitions_argument, meant
from stream.commands.service import host_option, log_to_stderr, port_option, serve, session_timeout_option
from stream.commands.training import check_personas, training_parts


@click.command()
@definitions_argument
@broker_option
@app_id_option
@session_timeout_option("A trainer that is silent for so long gives way to another.")
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

    plan = compile_plan(meant(checked_file(definitions)))
    check_personas(plan, definitions)
    with training_parts():
        from stream.trainer.run import Options
        from stream.trainer.run import run as work
    log_to_stderr()
    serve(work(plan, Options(broker, app_id, session_timeout, port, host)))
