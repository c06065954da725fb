"""The command among other processes: pipes, terminals, signals, memory."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.language.checker import load
from tests.cli.commands import COMMAND, ROOT, environment, records, run
from tests.replay.replaying import DEFINITIONS, SEGMENTS, START, few_events, json_lines, traffic, write
from tests.replay.replaying import run as replay


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    return write(tmp_path / "segments.yaml", DEFINITIONS.encode())


def shell(script: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Runs a script in bash; ``$1`` and so on are its arguments, ``segstream`` is the command."""
    command = " ".join(f"'{part}'" for part in COMMAND)
    return subprocess.run(
        ["bash", "-c", f'segstream() {{ {command} "$@"; }}\n{script}', "bash", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=120,
    )


def test_a_pipeline_from_end_to_end(tmp_path: Path) -> None:
    """As a newcomer would try it, with the ready segments."""
    done = shell(
        "segstream check stream/segments.yaml && "
        "segstream simulate --events 5k --customers 100 --late 5% | tee $1 | "
        "segstream replay stream/segments.yaml - --sort --rejected $2 | grep entered > $3",
        tmp_path / "events",
        tmp_path / "rejected",
        tmp_path / "entered",
    )
    assert done.returncode == 0, done.stderr
    segments = len(load(SEGMENTS.read_bytes(), "segments.yaml").segments)
    assert done.stdout.startswith(f"{segments} segments, ")
    replayed = replay([tmp_path / "events"], SEGMENTS.read_text(encoding="utf-8"), sort=True)
    entered = [change for change in replayed.changes if change["change"] == "entered"]
    assert records((tmp_path / "entered").read_bytes()) == entered
    assert (tmp_path / "rejected").read_bytes() == b""
    assert "5,000 events of" in done.stderr
    assert all(f" {segment.name} " in done.stderr for segment in replayed.summary.segments)


@pytest.mark.parametrize(
    "script",
    [
        "segstream replay $1 $2 | head -1; echo ${PIPESTATUS[0]}",
        "segstream replay $1 $2 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}",
        "segstream replay $1 $3 --output /dev/null --rejected - | head -1; echo ${PIPESTATUS[0]}",
        "segstream simulate --events 100k --customers 100 | head -1; echo ${PIPESTATUS[0]}",
    ],
    ids=["changes", "table", "rejected", "simulate"],
)
def test_a_reader_that_goes_away_ends_it_quietly(definitions: Path, tmp_path: Path, script: str) -> None:
    events, bad = write(tmp_path / "e", traffic()), write(tmp_path / "bad", b"bad\n" * 50_000)
    done = shell(script, definitions, events, bad)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == "" or "compiling the engine" in done.stderr
    if "head" in script:
        assert done.stdout.count("\n") == 2
        assert done.stdout.startswith("{")


def test_control_c(definitions: Path, tmp_path: Path) -> None:
    """While it waits for more of its input, and has written some changes."""
    output, errors = tmp_path / "out", tmp_path / "err"
    with (
        output.open("wb") as out,
        errors.open("wb") as err,
        subprocess.Popen(
            [*COMMAND, "replay", definitions, "-"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env=environment(),
            cwd=ROOT,
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(traffic() * 2)  # more than a block, so it is applied
        process.stdin.flush()
        for _ in range(600):
            if output.stat().st_size:
                break
            time.sleep(0.1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()
    said = errors.read_text()
    assert said.endswith("\nsegstream: interrupted; what has been written until now is not complete\n")
    assert "Traceback" not in said
    assert records(output.read_bytes())


def test_control_c_on_a_whole_pipeline(tmp_path: Path) -> None:
    """The reader is interrupted too, so there may be nobody left to write to."""
    process = subprocess.Popen(
        ["bash", "-c", f"'{sys.executable}' -m stream simulate --events 50M --customers 1k | sleep 60"],
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
        start_new_session=True,
    )
    with process:
        time.sleep(1.5)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        assert "Traceback" not in errors
        assert "Exception ignored" not in errors


def on_a_terminal(
    program: list[str], *, typed: bytes | None = None, output: int | None = subprocess.DEVNULL
) -> tuple[int, str]:
    """Runs a program whose standard error is a terminal; where something is ``typed``, its standard input too."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL if typed is None else theirs,
        stdout=theirs if output is None else output,
        stderr=theirs,
        env=environment(TERM="xterm", COLUMNS="100"),
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(theirs)
    if typed:
        os.write(ours, typed)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Linux: nobody has the other side open any more
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(timeout=60), re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())


LOW_THRESHOLD = "import stream.replay.screen as screen; screen.BAR_FROM_BYTES = 1; from stream.cli import main; main()"


def test_a_person_who_watches_sees_a_bar(definitions: Path, tmp_path: Path) -> None:
    events = write(tmp_path / "e", traffic())
    arguments = ["replay", str(definitions), str(events)]
    with_bar = [sys.executable, "-c", LOW_THRESHOLD, *arguments]
    code, shown = on_a_terminal(with_bar)
    assert code == 0
    assert "replaying ━" in shown
    assert "2,500 events of" in shown
    # Where the changes scroll through the same terminal it would only be in the way.
    code, shown = on_a_terminal(with_bar, output=None)
    assert code == 0
    assert "replaying" not in shown
    assert '"sequence":1' in shown


def test_events_typed_at_a_terminal_end_with_one_control_d(definitions: Path) -> None:
    typed = json_lines(few_events()[:1]) + b"\x04"
    code, shown = on_a_terminal([*COMMAND, "replay", str(definitions), "-"], typed=typed)
    assert code == 0
    assert "segstream: reading events from the terminal; Ctrl-D ends them" in shown
    assert "1 event of 1 customer" in shown


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_no_change_is_lost_where_the_reader_is_slow(definitions: Path, tmp_path: Path, unbuffered: str) -> None:
    """Of a pipe that doesn't wait, Python's own unbuffered output would drop what does not fit, and say nothing."""
    events = write(tmp_path / "e", traffic())
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    done = subprocess.run(
        [*COMMAND, "replay", definitions, events],
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        env=environment(PYTHONUNBUFFERED=unbuffered),
        cwd=ROOT,
        timeout=120,
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    # Before it may stand that the engine is compiled.
    assert done.stderr.splitlines()[-1].startswith("segstream: standard output: can't be written: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(definitions: Path, tmp_path: Path) -> None:
    events = write(tmp_path / "e", few_events())
    done = shell(
        "segstream replay $1 $2 > /dev/full; echo $?; segstream check $1 > /dev/full; echo $?", definitions, events
    )
    assert done.stdout.split() == ["2", "2"]
    assert done.stderr.splitlines() == [
        "segstream: standard output: can't be written: No space left on device",
        "segstream: [Errno 28] No space left on device",
    ]


def test_closed_streams(definitions: Path, tmp_path: Path) -> None:
    events = write(tmp_path / "e", few_events())
    script = (
        "segstream replay $1 $2 >&-; echo $?\n"
        "segstream replay $1 - <&-; echo $?\n"
        "segstream replay $1 $2 --output $3 2>&-; echo $?\n"
        "segstream check $1 >&-; echo $?\n"
    )
    done = shell(script, definitions, events, tmp_path / "out")
    assert done.stdout.split() == ["2", "2", "0", "0"]
    assert done.stderr.splitlines() == [
        "segstream: standard output is closed: name a file",
        "segstream: standard input is closed: there is nothing to read",
    ]
    assert records((tmp_path / "out").read_bytes())


def test_a_terminal_that_knows_no_more_than_ascii(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xe4.yaml")
    path.write_text("version: 1\nsegments: {a: {enter: 'count(click) > 1 é'}}\n")
    done = run("check", path, env=environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"))
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert done.stdout.startswith(os.fsencode(tmp_path))
    assert b": error: " in done.stdout
    events = write(tmp_path / "e", "bäd\n".encode())
    path.write_text(DEFINITIONS)
    done = run("replay", path, events, "--rejected", "-", "--output", os.devnull)
    assert done.returncode == 0
    assert records(done.stdout)[0]["original"] == "bäd"


_MEASURED = """\
import sys
from pathlib import Path
from stream.replay import sorting
sorting.RUN_BYTES = 4 << 20
from stream.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_grows_with_the_customers_and_not_with_the_events(definitions: Path, tmp_path: Path) -> None:
    """The high-water mark of a process (ru_maxrss would begin at that of the test's own)."""

    def write_events(path: Path, count: int) -> None:
        with path.open("w") as file:
            for i in range(count):
                kind, more = (
                    ("click", '"action":"search"') if i % 10 else ("purchase", f'"order_id":"o{i}","total":{i % 97}')
                )
                file.write(
                    f'{{"type":"{kind}","event_id":"e{i}","customer_id":"c{i * 7_919 % 500}",'
                    f'"timestamp":{START + i * 3_000 % 90_000_000},{more},"url":"https://shop.example.com/p/{i}"}}\n'
                )

    def peak_kb(count: int, *options: str) -> int:
        events = tmp_path / f"{count}"
        if not events.exists():
            write_events(events, count)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, "replay", definitions, events, "--output", tmp_path / "out", *options],
            capture_output=True,
            check=True,
            text=True,
            env=environment(),
            cwd=ROOT,
            timeout=120,
        )
        assert f"{count:,} events of 500 customers" in done.stderr
        assert (tmp_path / "out").stat().st_size > 0
        return int(done.stdout)

    few = peak_kb(20_000)
    many = peak_kb(200_000)
    size_kb = (tmp_path / "200000").stat().st_size // 1_024
    assert size_kb > 25_000
    assert many - few < size_kb / 4
    assert peak_kb(200_000, "--sort") - few < size_kb / 2
