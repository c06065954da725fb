"""The path under which a worker is asked for a customer. Ids are any text, so all of an id is encoded."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from stream.contract import CUSTOMER_ID_LENGTH

CUSTOMERS = "/v1/customers/"


def path_of(customer: str) -> str:
    """The path of a customer's answer. Dots are encoded too: ``..`` would lead somewhere else.

    >>> path_of("a/b ü")
    '/v1/customers/a%2Fb%20%C3%BC'
    >>> path_of("..")
    '/v1/customers/%2E%2E'
    """
    return CUSTOMERS + quote(customer, safe="").replace(".", "%2E")


def customer_of(raw_path: str) -> str:
    """The id in a path as it was sent; raises ``ValueError`` with a reason for people.

    >>> customer_of("/v1/customers/a%2Fb%20%C3%BC")
    'a/b ü'
    """
    try:
        customer = unquote_to_bytes(raw_path.removeprefix(CUSTOMERS)).decode()
    except UnicodeDecodeError:
        raise ValueError("the customer's id is no UTF-8, each byte of it written as %XX") from None
    return checked(customer)


def checked(customer: str) -> str:
    """A customer's id; raises ``ValueError`` for what can't be one."""
    if not 1 <= len(customer) <= CUSTOMER_ID_LENGTH:
        raise ValueError(f"a customer's id has 1 to {CUSTOMER_ID_LENGTH} characters")
    try:
        customer.encode()
    except UnicodeEncodeError:
        raise ValueError("the customer's id is no UTF-8") from None
    return customer
