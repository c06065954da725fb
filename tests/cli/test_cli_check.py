"""``segstream check``: what is wrong with a definitions file, and what it costs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.engine.cost import cost_lines
from stream.engine.partition import Partition
from stream.engine.plan import Plan, compile_plan
from stream.language.checker import load
from tests.cli.commands import invoke
from tests.replay.replaying import SEGMENTS, write

PROBLEM = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<severity>error|warning): (?P<message>.+)")


def checked(tmp_path: Path, text: str) -> tuple[int, list[str]]:
    """Exit code and lines of the output; nothing may go to standard error."""
    result = invoke("check", write(tmp_path / "segments.yaml", text.encode()))
    assert result.stderr == ""
    return result.exit_code, result.stdout.splitlines()


def test_errors_and_warnings(tmp_path: Path) -> None:
    text = (
        "version: 1\n"
        "features:\n"
        "  spare: count(click)\n"
        "segments:\n"
        "  a:\n"
        "    enter: count(click where action == 'add_to_kart') > 2\n"
        "    exit: count(clicks) > 3\n"
        "  b: {enter: 'sum(purchase.totl) > 1', cooldwn: 3d}\n"
    )
    code, lines = checked(tmp_path, text)
    assert code == 1
    found = [match for line in lines if (match := PROBLEM.fullmatch(line))]
    assert len(found) == len(lines)  # no cost of a file that has errors
    assert {match["file"] for match in found} == {str(tmp_path / "segments.yaml")}
    assert [(match["line"], match["column"], match["severity"]) for match in found] == [
        ("3", "3", "warning"),
        ("6", "40", "warning"),
        ("7", "17", "error"),
        ("8", "28", "error"),
        ("8", "40", "error"),
    ]
    assert all("did you mean" in match["message"] for match in found[1:])


def test_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    code, lines = checked(
        tmp_path, "version: 1\nfeatures: {spare: count(click)}\nsegments: {a: {enter: count(click) > 2}}\n"
    )
    assert code == 0
    assert PROBLEM.fullmatch(lines[0])
    assert not any(map(PROBLEM.fullmatch, lines[1:]))
    assert lines[1] == "1 segment, 1 aggregate, 0 traits, 0 timers"


def test_the_ready_segments_are_clean() -> None:
    result = invoke("check", SEGMENTS)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not any(PROBLEM.fullmatch(line) for line in result.stdout.splitlines())
    plan = compile_plan(load(SEGMENTS.read_bytes(), "segments.yaml"))
    assert result.stdout.splitlines() == cost_lines(plan)
    assert len(plan.definitions.segments) >= 14


def cost(text: str) -> tuple[Plan, list[str]]:
    plan = compile_plan(load(text, "test.yaml"))
    return plan, cost_lines(plan)


def figures(line: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", line)]


@pytest.mark.parametrize(
    ("expression", "size"),
    [
        ("count(click) > 1", 8),
        ("count(click, 1d) > 1", 8 * 13),
        ("sum(purchase.total, 1d) > 1", 8 * 25),
        ("avg(purchase.total) > 1", 16),
        ("distinct(click.category) > 1", 8 * 33),
        ("exists(last(click))", 8),
        ('last(click.device) == "mobile"', 16),
        ("gap(purchase) > 1d", 24),
        ("p_alive(purchase) < 0.5", 24),
        ('trait("plan") == "pro"', 0),
    ],
)
def test_bytes_of_an_aggregate(expression: str, size: int) -> None:
    """Against the words that the engine's description of accumulators gives them."""
    plan, lines = cost(f"version: 1\nsegments:\n  a: {{enter: '{expression}'}}\n")
    row, of_aggregates, others = figures(lines[1])
    assert of_aggregates == size
    assert row == of_aggregates + others == plan.row_bytes
    assert (f"  {size:>5,} bytes  " in "\n".join(lines)) == bool(size)


def test_bytes_a_customer_are_those_of_a_row_and_its_timer() -> None:
    for text in (SEGMENTS.read_text(), "version: 1\nsegments: {a: {enter: count(click) > 1}}"):
        plan, lines = cost(text)
        profiles = Partition(plan).profiles
        profiles.rows(["somebody"])
        measured = profiles.row(0).nbytes + profiles.due[:1].nbytes
        assert figures(lines[1])[0] == measured == profiles.nbytes
        assert lines[2].startswith(f"{measured * 1_000_000 / 2**30:.2f} GiB for 1,000,000 customers")


def test_equal_aggregates_are_counted_once() -> None:
    once, lines = cost("version: 1\nsegments:\n  a: {enter: 'count(click where price > 1, 1d) > 1'}\n")
    assert lines[0] == "1 segment, 1 aggregate, 0 traits, 1 timer"
    text = (
        "version: 1\n"
        "features: {many: 'count(click where price > 1.0, 24h)'}\n"
        "segments:\n"
        "  a: {enter: 'count(click  where price>1, 1d) > 1', exit: 'many > 9'}\n"
        "  b: {enter: 'many > 2 and count(click where (price > 1), 12h + 12h) > 3'}\n".replace("12h + 12h", "12h720m")
    )
    twice, lines = cost(text)
    assert lines[0] == "2 segments, 1 aggregate, 0 traits, 1 timer"
    assert figures(lines[1])[1] == 8 * 13
    # Another segment takes its two words of membership and its place among the timers, which go by pairs.
    assert twice.row_bytes - once.row_bytes in (16, 24)
    # `never` is a count.
    assert cost("version: 1\nsegments: {a: {enter: 'never(click) and count(click) < 5'}}")[1][0].startswith(
        "1 segment, 1 aggregate,"
    )


def test_timers_and_the_largest() -> None:
    windows = "".join(f"  s{i}: {{enter: 'count(click, {i + 1}h) > 5', for: 1h, cooldown: 1d}}\n" for i in range(9))
    _, lines = cost(
        f'version: 1\nsegments:\n{windows}  t: {{enter: \'since(last(click)) > 1d and trait("a") == trait("b")\'}}\n'
    )
    assert lines[0] == "10 segments, 10 aggregates, 2 traits, 28 timers"  # 9 windows, 9 for, 9 cooldown, 1 since
    assert lines[3] == "the largest aggregates:"
    assert len(lines) == 4 + 5
    assert lines[4] == "    104 bytes  count(click, 1h)"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"- 1\n", b"\x00", b"{", b"x" * 3_000_000, b"\xc3\xa4" * 9_000_000]
)
def test_whatever_is_called_definitions(tmp_path: Path, content: bytes) -> None:
    result = invoke("check", write(tmp_path / "s.yaml", content))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines
    assert all(PROBLEM.fullmatch(line) for line in lines)
    if len(content) > 1_048_576:
        assert "the file is larger than" in lines[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "is a directory."), (tmp_path / "missing", "does not exist.")):
        result = invoke("check", path)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1].endswith(reason)
