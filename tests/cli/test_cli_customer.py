"""``segstream customer``: what it prints, and how it ends. The worker is played by a small server."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stream.live.paths import customer_of
from tests.cli.commands import invoke, usage_error
from tests.docs.test_docs_examples import schema

ANSWER: dict[str, Any] = schema("customer")["examples"][0]
PRINTED = """\
customer      c006312
at            2025-10-09T10:00:00.000Z
clock         2025-10-09T09:36:15.913Z
stream clock  2025-10-09T10:00:00.000Z
next timer    2025-10-16T09:06:15.913Z
sequence      7
partition     3
worker        http://10.0.0.7:6066
definitions   9f86d081884c7d65

memberships
  cart_abandoner  since 2025-10-09T09:36:15.913Z

features
  last(click where action == "add_to_cart")  2025-10-09T09:06:15.913Z
  last(purchase)                             null
  last(click)                                2025-10-09T09:06:15.913Z

offsets
  clicks     1207
  purchases  none
  emails     none
"""

WHY = """
why
  cart_abandoner: in since 2025-10-09T09:36:15.913Z
    enter: yes
      yes: last(click where action == "add_to_cart") after last(purchase)
        last(click where action == "add_to_cart")  2025-10-09T09:06:15.913Z
        last(purchase)                             null
      yes: since(last(click where action == "add_to_cart")) >= 30m
        since(last(click where action == "add_to_cart"))  53m 44s
        last(click where action == "add_to_cart")         2025-10-09T09:06:15.913Z
    exit: no
      no: any of these
        no, not known: last(purchase) after last(click where action == "add_to_cart")
          last(purchase)                             null
          last(click where action == "add_to_cart")  2025-10-09T09:06:15.913Z
        no: since(last(click)) >= 7d
          since(last(click))  53m 44s
          last(click)         2025-10-09T09:06:15.913Z
"""


class Played:
    """A worker that gives one answer to everything; ``paths`` are those it was asked for."""

    def __init__(self, status: int, body: bytes) -> None:
        self.paths: list[str] = []
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                played.paths.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Played:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextlib.contextmanager
def answering(status: int, body: object) -> Iterator[Played]:
    with Played(status, body if isinstance(body, bytes) else json.dumps(body).encode()) as worker:
        yield worker


def test_for_people() -> None:
    with answering(200, ANSWER) as worker:
        done = invoke("customer", "c006312", "--worker", worker.url)
    assert (done.exit_code, done.stdout, done.stderr) == (0, PRINTED, "")
    assert worker.paths == ["/v1/customers/c006312"]


def test_why() -> None:
    with answering(200, ANSWER) as worker:
        done = invoke("customer", "c006312", "--why", "--worker", worker.url)
    assert (done.exit_code, done.stdout, done.stderr) == (0, PRINTED + WHY, "")


def test_what_holds_against_the_conditions() -> None:
    held = {"by": "cooldown", "until": "2025-10-10T09:36:15.913Z", "reason": "it was left"}
    why = {**ANSWER["why"][0], "member": False, "since": None, "holdout": True, "held": held}
    with answering(200, {**ANSWER, "why": [why]}) as worker:
        shown = invoke("customer", "c006312", "--why", "--worker", worker.url).stdout
    assert (
        "  cart_abandoner: not in, held out\n    it was left, until 2025-10-10T09:36:15.913Z\n    enter: yes\n" in shown
    )


def test_as_json() -> None:
    with answering(200, {**ANSWER, "later": "version"}) as worker:
        done = invoke("customer", "c006312", "--json", env={"SEGSTREAM_WORKER_URL": worker.url})
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {**ANSWER, "later": "version"}


def test_nothing_reaches_the_terminal_that_is_no_text() -> None:
    evil = "\x1b[2J\x9b2J\u202e"
    features = {evil: evil, "trait(vip)": True, "avg(purchase.total)": 1.5}
    memberships = {"vip": {"since": ANSWER["at"], "holdout": True}}
    answer = {**ANSWER, "customer_id": evil, "features": features, "memberships": memberships, "next_timer": None}
    with answering(200, answer) as worker:
        shown = invoke("customer", evil, "--worker", worker.url).stdout
    assert all(line.isprintable() for line in shown.split("\n"))
    assert customer_of(worker.paths[0]) == evil
    assert "customer      \\x1b[2J\\x9b2J\\u202e\n" in shown
    assert '\\x9b2J\\u202e  "\\u001b[2J' in shown
    assert "  vip  since 2025-10-09T10:00:00.000Z, held out\n" in shown
    assert "next timer    never\n" in shown
    assert shown.index("trait(vip)") < shown.index("true") < shown.index("1.5")


def test_who_is_in_nothing() -> None:
    with answering(200, {**ANSWER, "memberships": {}}) as worker:
        assert "\n\nmemberships: none\n\n" in invoke("customer", "c006312", "--worker", worker.url).stdout


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (404, {"error": "unknown_customer", "message": "no such"}, 1, "customer 'ada': no such"),
        (503, {"error": "restoring", "message": "wait"}, 69, "has no answer now: wait"),
        (502, {"error": "unreachable", "message": "gone"}, 69, "has no answer now: gone"),
        (404, b"404: Not Found", 69, "is no worker: status 404"),
        (200, {"customer_id": "ada"}, 69, "is no worker: status 200"),
        (200, b"\xff", 69, "is no worker: status 200"),
    ],
)
def test_how_it_ends(status: int, body: object, code: int, says: str) -> None:
    with answering(status, body) as worker:
        done = invoke("customer", "ada", "--worker", worker.url)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr


def test_no_worker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://nowhere.invalid:6066", "http://a..b"):
        done = invoke("customer", "ada", "--worker", url)
        assert done.exit_code == 69
        assert f"no worker answers at {url}" in done.stderr


@pytest.mark.parametrize(
    "url",
    ["localhost:6066", "ftp://a", "http://", "http://a:x", "http://a:0", "http://a/?b", "http://u@a", "http://a b"],
)
def test_what_is_no_url(url: str) -> None:
    assert f"{url!r} is not an address such as http://10.0.0.7:6066" in usage_error("customer", "a", "--worker", url)


@pytest.mark.parametrize("customer", ["", "x" * 257])
def test_what_is_no_id(customer: str) -> None:
    assert "a customer's id has 1 to 256 characters" in usage_error("customer", "--", customer)


def test_an_address_needs_a_port() -> None:
    said = usage_error("worker", "stream/segments.yaml", "--advertise", "http://10.0.0.7:6066")
    assert "--advertise needs --port" in said
