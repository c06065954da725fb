"""What commands that apply events from files need first: the plan of a definitions file, and compiled code."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.commands.definitions import checked_file, meant

if TYPE_CHECKING:
    from stream.engine.plan import Plan

#: Kernels that are in their cache are there much sooner, so after this long it is being compiled.
NOTICE_AFTER_S = 1.5


def plan_of(definitions: Path, events: Sequence[str]) -> Plan:
    """The plan of a definitions file; prints its problems, and ends the command where one is an error."""
    from stream.engine.plan import compile_plan

    hint = None
    if any(name.endswith((".yaml", ".yml")) for name in events):
        command = click.get_current_context().command_path
        hint = f"segstream: the definitions come first: {command} DEFINITIONS EVENTS..."
    return compile_plan(meant(checked_file(definitions), hint))


def prepare_aloud(plan: Plan) -> None:
    """Loads the compiled kernel. Says so when that takes long, which means that it is being compiled."""
    from stream.garbage import without_collections
    from stream.preparation import prepare

    notice = threading.Timer(
        NOTICE_AFTER_S,
        click.echo,
        ("segstream: compiling the engine; this happens once and takes about 20 seconds",),
        {"err": True},
    )
    notice.daemon = True
    notice.start()
    try:
        with without_collections():
            prepare(plan)
    finally:
        notice.cancel()
