"""Who may ask, and what no page of another site can make of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from stream.dashboard.app import PAGES, Access, make_app
from stream.dashboard.login import COOKIE, Attempts, Sessions
from stream.dashboard.security import HEADERS, is_loopback
from tests.dashboard.fake import FakeAnswers
from tests.dashboard.shops import Browser, ran, serving

TOKEN = "a-long-and-secret-token"
YAML = {"Content-Type": "text/yaml"}
DRAFT = "version: 1\nsegments:\n  one:\n    enter: never(click)\n"
#: What everybody may ask for.
OPEN = ["/livez", "/healthz", "/readyz", "/metrics", "/version", "/login", "/static/app.js"]
API = ["/v1/segments", "/v1/customers/c1", "/v1/customers/c1/segments", "/v1/stream", "/v1/openapi.json", "/v1/nothing"]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html><title>shell</title>")
    (tmp_path / "app.js").write_text("1;")
    return tmp_path


def app(static: Path, access: Access | None = None) -> web.Application:
    return make_app(FakeAnswers(), access, static=static)


# --- what all answers carry -------------------------------------------------------------------------------------------


def test_every_answer_carries_the_strict_headers(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static)) as browser:
            paths = [*OPEN, *API, "/", "/nothing", "/v1/customers/nobody", "/static/nothing", "/static/../app.py"]
            for path in [one for one in paths if one != "/v1/stream"]:
                answer = await browser.get(path)
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
                assert not [name for name in answer.headers if name.startswith("Access-Control")]

    ran(ask)


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_pages_are_one_shell_and_nothing_is_kept_of_answers(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static)) as browser:
            for path in PAGES:
                path = path.replace("{name}", "lapsed").replace("{id:[^/]*}", "a%2Fb%00..")
                answer = await browser.get(path)
                assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html"), path
                assert "shell" in answer.text
            assert (await browser.get("/v1/segments")).headers["Cache-Control"] == "no-store"
            assert (await browser.get("/static/app.js")).text == "1;"
            assert (await browser.get("/static/..%2f..%2fapp.py")).status in (403, 404)

    ran(ask)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("10.0.0.7:8080", True),
        ("shop.example", True),
        ("SHOP.example:443", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8080", False),
        ("[", False),
        ("", False),
    ],
)
def test_names_of_others_are_refused(static: Path, host: str, is_ours: bool) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(hosts=["Shop.example"]))) as browser:
            for path in ("/v1/segments", "/", "/livez"):
                answer = await browser.get(path, headers={"Host": host})
                assert answer.status == (200 if is_ours else 421 if host else 400) or (
                    not host and answer.status == 421
                )

    ran(ask)


def test_with_a_token_and_beyond_this_machine_any_name_will_do(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN, "0.0.0.0"))) as browser:
            assert (await browser.get("/livez", headers={"Host": "shop.example"})).status == 200
            assert (await browser.get("/v1/segments", headers={"Host": "shop.example"})).status == 401

    ran(ask)


def test_what_is_of_this_machine() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.8.8", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "shop.example", ""]))


# --- tokens and sessions ----------------------------------------------------------------------------------------------


def test_programs_send_the_token(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN))) as browser:
            for path in API:
                refused = await browser.get(path)
                assert (refused.status, refused.json["error"]) == (401, "token_needed")
                assert refused.headers["WWW-Authenticate"] == "Bearer"
            for header in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer ", "Bearer \udce9"):
                encoded = header.encode("utf-8", "surrogateescape").decode("latin-1")
                assert (await browser.get("/v1/segments", headers={"Authorization": encoded})).status == 401
            for header in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
                assert (await browser.get("/v1/segments", headers={"Authorization": header})).status == 200
            for path in OPEN:
                assert (await browser.get(path)).status == 200, path
            assert (await browser.ask("POST", "/v1/drafts", data=DRAFT, headers=YAML)).status == 401

    ran(ask)


async def logged_in(browser: Browser, token: str = TOKEN, following: str = "/") -> int:
    form = {"token": token, "next": following}
    return (await browser.ask("POST", "/login", data=form)).status


def test_people_log_in_and_out(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN))) as browser:
            sent = await browser.get("/segments/lapsed?x=1")
            assert (sent.status, sent.headers["Location"]) == (303, "/login?next=%2Fsegments%2Flapsed%3Fx%3D1")
            page = await browser.get(sent.headers["Location"])
            assert 'value="/segments/lapsed?x=1"' in page.text
            assert (await browser.get("/v1/settings")).status == 401
            answer = await browser.ask("POST", "/login", data={"token": TOKEN, "next": "/segments/lapsed?x=1"})
            assert (answer.status, answer.headers["Location"]) == (303, "/segments/lapsed?x=1")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert "Secure" not in cookie  # this is http
            assert TOKEN not in cookie
            assert (await browser.get("/v1/settings")).json["login"] is True
            assert (await browser.get("/")).status == 200
            assert (await browser.get("/login")).status == 303
            session = browser.session.cookie_jar.filter_cookies(URL(browser.url))[COOKIE].value
            assert (await browser.ask("POST", "/logout")).status == 303
            assert (await browser.get("/v1/settings")).status == 401
            stolen = {"Cookie": f"{COOKIE}={session}"}
            assert (await browser.get("/v1/settings", headers=stolen)).status == 401

    ran(ask)


def test_a_cookie_behind_https_stays_there(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN))) as browser:
            headers = {"X-Forwarded-Proto": "https"}
            answer = await browser.ask("POST", "/login", data={"token": TOKEN}, headers=headers)
            assert "Secure" in answer.headers["Set-Cookie"]

    ran(ask)


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/a\nb", "/ä"])
def test_a_login_leads_nowhere_else(static: Path, following: str) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN))) as browser:
            answer = await browser.ask("POST", "/login", data={"token": TOKEN, "next": following})
            assert answer.headers["Location"] == "/"

    ran(ask)


def test_the_login_page_shows_texts_as_texts(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN))) as browser:
            page = await browser.get("/login?next=/%22%3E%3Cscript%3E")
            assert "<script" not in page.text
            assert 'value="/&quot;&gt;&lt;script&gt;"' in page.text

    ran(ask)


def test_who_guesses_has_to_wait(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static, Access(TOKEN))) as browser:
            assert [await logged_in(browser, "wrong") for _ in range(10)] == [403] * 10
            waiting = await browser.ask("POST", "/login", data={"token": TOKEN})
            assert waiting.status == 429
            assert int(waiting.headers["Retry-After"]) > 200
            # Programs are not kept out by that.
            assert (await browser.get("/v1/settings", headers={"Authorization": f"Bearer {TOKEN}"})).status == 200

    ran(ask)


def test_attempts_are_forgotten_after_a_while() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(10):
        attempts.was_wrong("a")
    assert (attempts.wait_s("a") > 0, attempts.wait_s("b")) == (True, 0)
    now[0] = 301
    assert attempts.wait_s("a") == 0


def test_sessions_end() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    one, other = sessions.begin(), sessions.begin()
    assert one != other
    assert sessions.is_open(one)
    assert not sessions.is_open("made up")
    assert not sessions.is_open("\udce9")
    sessions.end(one)
    assert not sessions.is_open(one)
    now[0] = 13 * 3_600
    assert not sessions.is_open(other)


# --- what pages of others send ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/drafts", "/login", "/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_are_refused(static: Path, path: str, headers: dict[str, str]) -> None:
    async def ask() -> None:
        async with serving(app(static)) as browser:
            answer = await browser.ask("POST", path, data=DRAFT, headers={**YAML, **headers})
            assert (answer.status, answer.json["error"]) == (403, "other_origin")

    ran(ask)


def test_drafts_of_our_own_pages_and_of_programs_pass(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static)) as browser:
            own = {"Origin": browser.url, "Sec-Fetch-Site": "same-origin", **YAML}
            for headers in (own, YAML, {"Content-Type": "text/yaml; charset=utf-8"}):
                assert (await browser.ask("POST", "/v1/drafts", data=DRAFT, headers=headers)).status == 200
            for content in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                answer = await browser.ask("POST", "/v1/drafts", data=DRAFT, headers={"Content-Type": content})
                assert (answer.status, answer.json["error"]) == (415, "wrong_type")

    ran(ask)


def test_bodies_have_a_limit(static: Path) -> None:
    async def ask() -> None:
        async with serving(app(static)) as browser:
            answer = await browser.ask("POST", "/v1/drafts", data=io.BytesIO(b"#" * (2 << 20)), headers=YAML)
            assert (answer.status, answer.json["error"]) == (413, "too_large")

    ran(ask)
