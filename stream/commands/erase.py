"""``segstream erase``: asks for a customer to be forgotten."""

from __future__ import annotations

import click

from stream.commands.broker_options import broker_option, run
from stream.commands.parameter_types import Instant


@click.command()
@click.argument("customer", metavar="ID")
@broker_option
@click.option(
    "--at",
    type=Instant(),
    help="Forget events up to this instant (RFC 3339 or epoch milliseconds). Default: now.",
    show_envvar=True,
)
def erase(*, customer: str, broker: str, at: int | None) -> None:
    """Ask the workers to forget the customer ID: a request in the topic customer-erasures.

    The customer leaves all segments, and a change `erased` tells consumers to forget them too. Events up to that
    instant do not bring them back; later ones make a new customer of them. Exit 64 when topics are missing, 69 when no
    broker answers; then nothing is known to be sent.
    """
    from stream.contract import CUSTOMER_ID_LENGTH
    from stream.kafka.erasing import erase as send
    from stream.kafka.topics import CUSTOMER_ERASURES

    try:
        customer.encode()
    except UnicodeEncodeError as error:
        raise click.BadParameter("it is not UTF-8", param_hint="ID") from error
    if not 1 <= len(customer) <= CUSTOMER_ID_LENGTH:
        raise click.BadParameter(f"a customer's id has 1 to {CUSTOMER_ID_LENGTH} characters", param_hint="ID")
    partition = run(send(broker, customer, at))
    click.echo(f"asked to forget {customer}: in {CUSTOMER_ERASURES}, partition {partition}")
