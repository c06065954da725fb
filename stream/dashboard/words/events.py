"""Which events an aggregate is about, in words: what they are called, and what the customer did."""

from __future__ import annotations

from dataclasses import dataclass

from stream.contract import Kind
from stream.dashboard.words.amounts import listed, literal, quoted
from stream.language.tree import And, Compare, Exists, Expression, Field, In, Literal, Not, Or, TextMatch

_COMPARED = {
    "==": "{field} {value}",
    "!=": "{a_field} other than {value}",
    "<": "{a_field} below {value}",
    "<=": "{a_field} of {value} or less",
    ">": "{a_field} above {value}",
    ">=": "{a_field} of {value} or more",
}
_MATCHED = {"contains": "contains", "starts_with": "begins with", "ends_with": "ends with"}
#: Fields that have another name among people.
_FIELDS = {
    "product_id": "product",
    "session_id": "session",
    "url": "address",
    "referrer": "referring page",
    "campaign_id": "campaign",
    "order_id": "order number",
    "message_id": "message",
}


@dataclass(frozen=True)
class Events:
    """Some sort of events. ``did`` and ``do``: what the customer did, and (did not) do. ``which`` ones of them."""

    one: str
    many: str
    did: str
    do: str
    which: str = ""


_KINDS = {
    Kind.CLICK: Events("click", "clicks", "clicked", "click"),
    Kind.PURCHASE: Events("order", "orders", "bought", "buy"),
    Kind.EMAIL: Events("e-mail event", "e-mail events", "had an e-mail event", "have an e-mail event"),
}
_ACTIONS = {
    (Kind.CLICK, "page_view"): Events("page view", "page views", "viewed a page", "view a page"),
    (Kind.CLICK, "product_view"): Events("product view", "product views", "viewed a product", "view a product"),
    (Kind.CLICK, "search"): Events("search", "searches", "searched", "search"),
    (Kind.CLICK, "add_to_cart"): Events(
        "addition to the cart", "additions to the cart", "put something into the cart", "put something into the cart"
    ),
    (Kind.CLICK, "remove_from_cart"): Events(
        "removal from the cart",
        "removals from the cart",
        "took something out of the cart",
        "take something out of the cart",
    ),
    (Kind.CLICK, "checkout_start"): Events("begun checkout", "begun checkouts", "began a checkout", "begin a checkout"),
    (Kind.EMAIL, "delivered"): Events("delivered e-mail", "delivered e-mails", "got an e-mail", "get an e-mail"),
    (Kind.EMAIL, "opened"): Events("opened e-mail", "opened e-mails", "opened an e-mail", "open an e-mail"),
    (Kind.EMAIL, "clicked"): Events(
        "click in an e-mail", "clicks in e-mails", "followed a link in an e-mail", "follow a link in an e-mail"
    ),
    (Kind.EMAIL, "bounced"): Events(
        "bounced e-mail", "bounced e-mails", "had an e-mail bounce", "have an e-mail bounce"
    ),
    (Kind.EMAIL, "unsubscribed"): Events("unsubscription", "unsubscriptions", "unsubscribed", "unsubscribe"),
    (Kind.EMAIL, "complained"): Events("complaint", "complaints", "complained", "complain"),
}


def events(kind: Kind, where: Expression | None) -> Events:
    """The events of a kind that satisfy a condition."""
    if where is None:
        return _KINDS[kind]
    parts = where.operands if isinstance(where, And) else (where,)
    for part in parts:
        actions = _actions(part)
        if actions:
            rest = tuple(other for other in parts if other is not part)
            found = _of_actions(kind, actions)
            return _which(found, rest)
    return _which(_KINDS[kind], parts)


def _actions(part: Expression) -> tuple[str, ...]:
    """The actions that a condition asks for, when it asks for nothing else."""
    match part:
        case Compare(op="==", left=Field(name="action"), right=Literal(value=str() as action)):
            return (action,)
        case In(value=Field(name="action"), literals=literals, negated=False):
            return tuple(str(one.value) for one in literals)
    return ()


def _of_actions(kind: Kind, actions: tuple[str, ...]) -> Events:
    found = [_ACTIONS.get((kind, action)) or _unknown(kind, action) for action in actions]
    return Events(
        listed([one.one for one in found], "or"),
        listed([one.many for one in found], "or"),
        listed([one.did for one in found], "or"),
        listed([one.do for one in found], "or"),
    )


def _unknown(kind: Kind, action: str) -> Events:
    name, nouns = quoted(action), _KINDS[kind]
    return Events(f"{name} {nouns.one}", f"{name} {nouns.many}", f"did {name}", f"do {name}")


def _which(found: Events, parts: tuple[Expression, ...]) -> Events:
    if not parts:
        return found
    which = _where(And(parts) if len(parts) > 1 else parts[0])
    return Events(found.one, found.many, found.did, found.do, f" {which}")


def _where(condition: Expression) -> str:
    """What tells those events from others, to stand behind their noun."""
    match condition:
        case And(operands=operands):
            return " and ".join(_part(operand) for operand in operands)
        case Or(operands=operands):
            return " or ".join(_part(operand) for operand in operands)
        case Not(operand=Exists(value=Field(name=name))):
            return f"without {_a(name)}"
        case Not(operand=operand):
            return f"not {_part(operand)}"
        case Exists(value=Field(name=name)):
            return f"with {_a(name)}"
        case Field(name=name):
            return f"with {field(name)} yes"
        case Compare(op=op, left=Field(name=name), right=Literal(value=value)):
            return "with " + _COMPARED[op].format(a_field=_a(name), field=field(name), value=literal(value))
        case In(value=Field(name=name), literals=literals, negated=negated):
            values = listed([literal(one.value) for one in literals], "or")
            return f"with {_a(name)} other than {values}" if negated else f"with {field(name)} {values}"
        case TextMatch(op=op, value=Field(name=name), text=text):
            return f"whose {field(name)} {_MATCHED[op]} {quoted(text)}"
    raise AssertionError(f"no condition on an event's fields: {condition}")


def _part(condition: Expression) -> str:
    written = _where(condition)
    return f"({written})" if isinstance(condition, And | Or) else written


def _a(name: str) -> str:
    """A field with its article."""
    called = field(name)
    return f"{'an' if called[0] in 'aeioAEIO' else 'a'} {called}"


def field(name: str) -> str:
    """What a field is called among people.

    >>> field("product_id"), field("size")
    ('product', 'size')
    """
    return _FIELDS.get(name, name.replace("_", " "))
