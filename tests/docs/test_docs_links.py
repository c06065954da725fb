"""Links lead somewhere; nothing belongs to one machine only; decision notes have their parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, anchors, links, page, page_id, pages

each_page = pytest.mark.parametrize("path", pages(), ids=page_id)

#: The host of an address; what listens at loopback is on whatever machine one is at.
_ADDRESS = re.compile(r"https?://(?!127\.0\.0\.1:)([^/:\s\"'`)]+)")
_FOLDER = re.compile(r"(?<![\w.)*…])/(?:home|root|usr|var|tmp|etc|opt|work|mnt|srv|bin|Users)\b")
_MACHINE = re.compile(r"\blocalhost\b|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[A-Z]:\\")


@each_page
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.is_file(), link
        assert not anchor or anchor in anchors(file), link


@each_page
def test_nothing_belongs_to_one_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for host in _ADDRESS.findall(text):
        assert host == "example.com" or host.endswith(".example.com"), host
    assert _FOLDER.findall(text) == []
    assert set(_MACHINE.findall(text)) <= {"127.0.0.1", "0.0.0.0"}  # every machine calls itself so


@each_page
def test_pages_are_tidy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\t" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_every_page_is_in_the_index() -> None:
    index = {(DOCS / link).resolve() for link in links(DOCS / "README.md")}
    assert set(pages()) - {DOCS / "README.md", ROOT / "README.md"} <= index


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_decision_notes_have_their_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    title, _, date, *_ = text.splitlines()
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", date)
    assert path.stem.startswith(f"{date}-")
    parts = ["Context", "Choice", "Alternatives", "What would change our mind"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == parts
    assert f"[{date}: {title.removeprefix('# ')}](decisions/{path.name})" in page("README")
