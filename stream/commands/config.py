"""``segstream config``: the settings of all commands, and where each comes from."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from stream.cli import EXIT_CONFIG, Failure, cli

_PREFIX = "SEGSTREAM_"
#: Variables that set no option; all are described in docs/kafka.md.
_OTHERS = ("SEGSTREAM_KAFKA_CACHE",)
_MASK = "********"
#: The password in the address of a service: ``redis://user:PASSWORD@host``.
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@\s]*:)[^/@\s]+(?=@)")


@dataclass
class _Setting:
    """An environment variable with what it is set to; ``options`` are those that it stands for."""

    variable: str
    value: str
    is_set: bool
    options: dict[str, list[str]] = field(default_factory=dict)  # the commands by the option's name


@click.command()
@click.argument("commands", nargs=-1, metavar="[COMMAND]...")
def config(*, commands: tuple[str, ...]) -> None:
    """Print the settings of all commands, or of the ones named, and where each comes from.

    One a line: the environment variable, what it comes to, whether that is the default or was set, and the options that
    it stands for. What stands on a command's line goes before all of them. Secrets are masked. Exit 64 when a variable
    SEGSTREAM_... is of no use, or has a value that its option does not take.
    """
    settings, wrong = _settings(os.environ)
    wrong += _unknown(os.environ, settings)
    known = {command for setting in settings.values() for one in setting.options.values() for command in one}
    for name in commands:
        if name not in cli.commands and name not in known:
            raise click.UsageError(f"No such command '{name}'.")
    rows = [
        (f"{setting.variable}={setting.value}", "environment" if setting.is_set else "default", _options(setting))
        for setting in settings.values()
        if not commands or any(_is_of(setting, name) for name in commands)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for row in rows:
        click.echo(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}")
    if wrong:
        raise Failure("\n".join(wrong), EXIT_CONFIG)


def _settings(environment: Mapping[str, str]) -> tuple[dict[str, _Setting], list[str]]:
    """All settings by their variables, and what is wrong with values."""
    settings: dict[str, _Setting] = {}
    wrong: dict[str, None] = {}
    for command, option, context in _all_options():
        variable = _variable(option, context)
        setting = settings.get(variable)
        if setting is None:
            given = environment.get(variable, "")
            value = given or _default(option, context)
            setting = settings[variable] = _Setting(variable, _masked(option, value), bool(given))
        if setting.is_set:
            try:
                option.process_value(context, option.value_from_envvar(context))
            except click.UsageError as error:
                wrong[f"{variable}: {_without(error.message, environment[variable], option)}"] = None
        setting.options.setdefault(option.opts[0], []).append(command)
    return settings, list(wrong)


def _all_options() -> Iterator[tuple[str, click.Option, click.Context]]:
    root = click.Context(cli, info_name="segstream", auto_envvar_prefix=_PREFIX.rstrip("_"))
    for name, command in cli.commands.items():
        yield from _options_of(name, command, click.Context(command, parent=root, info_name=name))


def _options_of(
    path: str, command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Option, click.Context]]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield path, parameter, context
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            yield from _options_of(f"{path} {name}", part, click.Context(part, parent=context, info_name=name))


def _variable(option: click.Option, context: click.Context) -> str:
    if isinstance(option.envvar, str):
        return option.envvar
    return f"{context.auto_envvar_prefix}_{option.name}".upper()


def _default(option: click.Option, context: click.Context) -> str:
    """What holds without the variable, as it would be written; empty where nothing does."""
    info: Any = option.to_info_dict()["default"]
    default = option.get_default(context) if info is not None else None
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if isinstance(default, str | int | float) else ""


def _masked(option: click.Option, value: str) -> str:
    if option.hide_input and value:
        return _MASK
    return _PASSWORD_IN_URL.sub(rf"\1{_MASK}", value)


def _without(message: str, value: str, option: click.Option) -> str:
    """A message without the secret that it may repeat."""
    return message.replace(value, _masked(option, value))


def _options(setting: _Setting) -> str:
    return "; ".join(f"{option} of {', '.join(commands)}" for option, commands in setting.options.items())


def _is_of(setting: _Setting, name: str) -> bool:
    """Whether a command of this name, or one within the group of this name, has the setting."""
    return any(
        command == name or command.startswith(f"{name} ")
        for commands in setting.options.values()
        for command in commands
    )


def _unknown(environment: Mapping[str, str], settings: Mapping[str, _Setting]) -> list[str]:
    """Variables of ours that no option has."""
    known = {variable.removeprefix(_PREFIX) for variable in (*settings, *_OTHERS)}
    wrong = []
    for variable in sorted(environment):
        name = variable.removeprefix(_PREFIX)
        if variable.startswith(_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {_PREFIX}{near[0]}?" if near else ""
            wrong.append(f"{variable} is no setting of any command{hint}")
    return wrong
