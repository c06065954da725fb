"""``segstream personas train``, and replays with the models that it makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from stream.cli import cli
from stream.personas.model import decode, encode, restored
from tests.shared_data import PROJECT

DEFINITIONS = """\
version: 1
segments:
  any:
    enter: count(click) >= 1
  named:
    enter: persona == "p1"
  scored:
    enter: rfm(purchase, 3d) exists
personas:
  features:
    orders: count(purchase, 3d)
    views: count(click where action == "product_view", 3d)
    opened: count(email where action == "opened", 3d)
  k: 3
  samples: 2400
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Definitions, events of a week, and the models that were learned from them."""
    made = tmp_path_factory.mktemp("personas")
    (made / "segments.yaml").write_text(DEFINITIONS)
    simulated = run(
        "simulate", "--habits", "personas", "--customers", "150", "--days", "7", "--output", made / "events.jsonl"
    )
    assert simulated.exit_code == 0, simulated.output
    trained = run("personas", "train", made / "segments.yaml", made / "events.jsonl", "--output", made / "models.jsonl")
    assert trained.exit_code == 0, trained.output
    assert "published" in trained.stderr
    assert "p1 " in trained.stderr
    return made


def test_training_makes_a_model_a_day(folder: Path) -> None:
    models = [decode(line) for line in (folder / "models.jsonl").read_bytes().splitlines()]
    assert [model.version for model in models] == list(range(1, len(models) + 1))
    assert len(models) >= 3
    days = [model.effective_ms // 86_400_000 for model in models]
    # Of samples of midnight.
    assert all(model.effective_ms % 86_400_000 == 600_000 for model in models)
    assert days == sorted(set(days))


def test_training_again_makes_the_same(folder: Path, tmp_path: Path) -> None:
    again = run("personas", "train", folder / "segments.yaml", folder / "events.jsonl", "--output", tmp_path / "again")
    assert again.exit_code == 0
    assert (tmp_path / "again").read_bytes() == (folder / "models.jsonl").read_bytes()


def test_a_replay_takes_each_model_when_it_takes_effect(folder: Path, tmp_path: Path) -> None:
    replayed = run(
        "replay", folder / "segments.yaml", folder / "events.jsonl", "--personas", folder / "models.jsonl",
        "--output", tmp_path / "changes.jsonl",
    )  # fmt: skip
    assert replayed.exit_code == 0, replayed.output
    assert "personas now: p1 " in replayed.stderr
    changes = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_bytes().splitlines()]
    first = decode((folder / "models.jsonl").read_bytes().splitlines()[0])
    personas = [change for change in changes if change["segment"].startswith("persona_")]
    assert {change["cause"] for change in personas} >= {"event", "model"}
    assert min(change["at"] for change in personas) >= first.effective_at
    assert any(change["segment"] == "named" for change in changes)
    sequences: dict[str, list[int]] = {}
    for change in changes:
        sequences.setdefault(change["customer_id"], []).append(change["sequence"])
    assert all(found == list(range(1, len(found) + 1)) for found in sequences.values())
    by_variable = CliRunner().invoke(
        cli,
        ["replay", str(folder / "segments.yaml"), str(folder / "events.jsonl")],
        env={"SEGSTREAM_REPLAY_PERSONAS": str(folder / "models.jsonl")},
        auto_envvar_prefix="SEGSTREAM",
    )
    assert by_variable.stdout_bytes == (tmp_path / "changes.jsonl").read_bytes()
    without = run("replay", folder / "segments.yaml", folder / "events.jsonl", "--output", tmp_path / "without.jsonl")
    assert without.exit_code == 0
    assert "persona_" not in (tmp_path / "without.jsonl").read_text()


def test_models_know_the_fifths_of_buyers(folder: Path, tmp_path: Path) -> None:
    model = decode((folder / "models.jsonl").read_bytes().splitlines()[-1])
    names = [f"rfm(purchase, 3d).{name}" for name in ("recency", "frequency", "money")]
    assert list(model.quantiles) == names
    assert all(model.quantiles[name] for name in names)
    assert model.quantiles[names[1]][0] >= 1  # who has bought nothing is not among them
    replayed = run(
        "replay", folder / "segments.yaml", folder / "events.jsonl", "--personas", folder / "models.jsonl",
        "--output", tmp_path / "changes.jsonl",
    )  # fmt: skip
    assert replayed.exit_code == 0, replayed.output
    changes = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_bytes().splitlines()]
    scores = [one["values"]["rfm(purchase, 3d)"] for one in changes if one["segment"] == "scored"]
    assert None in scores
    # Whoever comes in has just bought, and mostly once.
    assert len({score[2] for score in scores if score}) > 3


def test_what_is_no_model_is_refused_with_its_line(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "models.jsonl"
    wrong.write_bytes((folder / "models.jsonl").read_bytes().splitlines()[0] + b'\n\n{"version": 1}\n')
    refused = run("replay", folder / "segments.yaml", folder / "events.jsonl", "--personas", wrong)
    assert refused.exit_code == 64
    assert f"{wrong}, line 3: not a model of personas" in refused.stderr
    wrong.write_bytes(b"\n")
    refused = run("replay", folder / "segments.yaml", folder / "events.jsonl", "--personas", wrong)
    assert refused.exit_code == 64
    assert "there is no model in it" in refused.stderr


def test_show_tells_what_sets_each_persona_apart(folder: Path) -> None:
    models = [decode(line) for line in (folder / "models.jsonl").read_bytes().splitlines()]
    shown = run("personas", "show", folder / "models.jsonl")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == f"version {models[-1].version} of {models[-1].effective_at}: 3 personas"
    largest = max(models[-1].personas, key=lambda persona: persona.share)
    assert lines[2] == f"p{largest.number}  {largest.share:.1%}  {largest.label}"
    orders = restored(np.array(largest.centre))[0]
    assert lines[3] == f"      {orders:>10,.1f}  count(purchase, 3d)"
    assert len(lines) == 2 + 3 * 4


def test_show_compares_with_seven_versions_before(folder: Path, tmp_path: Path) -> None:
    first = decode((folder / "models.jsonl").read_bytes().splitlines()[0])
    kept, gone = first.personas[0], first.personas[1:]
    grown = msgspec.structs.replace(kept, share=0.25)
    later = msgspec.structs.replace(
        first,
        version=8,
        personas=(grown, *(msgspec.structs.replace(one, number=one.number + 5) for one in gone)),
        next_number=first.next_number + 5,
        training=msgspec.structs.replace(first.training, been={}),
    )
    path = tmp_path / "models.jsonl"
    path.write_bytes(encode(first) + b"\n" + encode(later) + b"\n")
    text = run("personas", "show", path).stdout
    assert f"p{kept.number}  25.0% (was {kept.share:.1%})" in text
    assert text.count(" (new)  ") == len(gone)
    assert run("personas", "show", path, "--version", "1").stdout.startswith("version 1 of ")
    missing = run("personas", "show", path, "--version", "3")
    assert missing.exit_code == 64
    assert "there is no version 3; there are 1 to 8" in missing.stderr


def test_models_are_read_and_not_written_over(folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models.jsonl"
    models.write_bytes((folder / "models.jsonl").read_bytes())
    definitions, events = folder / "segments.yaml", folder / "events.jsonl"
    refused = run("replay", definitions, events, "--personas", models, "--output", models)
    assert refused.exit_code == 2
    assert f"--output: {models} is also read, and would be overwritten" in refused.stderr
    assert models.read_bytes() == (folder / "models.jsonl").read_bytes()
    twice = run("replay", definitions, "-", "--personas", "-")
    assert twice.exit_code == 2
    assert "standard input (-) can be read only once" in twice.stderr


def test_a_model_of_other_definitions_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(DEFINITIONS.replace("orders: count(purchase, 3d)", "orders: count(purchase, 4d)"))
    refused = run("replay", other, folder / "events.jsonl", "--personas", folder / "models.jsonl")
    assert refused.exit_code == 64
    assert "line 1: model version 1 is of the features" in refused.stderr
    assert "train a model for these definitions" in refused.stderr


def test_training_without_personas_says_what_to_add(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text("version: 1\nsegments:\n  any:\n    enter: count(click) >= 1\n")
    refused = run("personas", "train", plain, folder / "events.jsonl")
    assert refused.exit_code == 64
    assert "there is no `personas:`" in refused.stderr


@pytest.mark.parametrize("missing", ["river", "scipy"])
def test_only_training_needs_river(folder: Path, missing: str) -> None:
    """In a fresh process, as where the extra is not installed."""

    def ended(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        program = f"import sys\nsys.modules[{missing!r}] = None\nfrom stream.cli import main\nmain()\n"
        words = [sys.executable, "-c", program, *map(str, arguments)]
        return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)

    events = folder / "events.jsonl"
    replayed = ended("replay", folder / "segments.yaml", events, "--personas", folder / "models.jsonl")
    assert replayed.returncode == 0, replayed.stderr
    refused = ended("personas", "train", folder / "segments.yaml", events)
    assert refused.returncode == 64
    assert f"training needs {missing}" in refused.stderr
    assert "pip install 'segstream[personas]'" in refused.stderr


def test_training_on_too_little_says_why_there_is_no_model(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_bytes(b"".join((folder / "events.jsonl").read_bytes().splitlines(keepends=True)[:50]))
    ended = run("personas", "train", folder / "segments.yaml", few)
    assert ended.exit_code == 1
    assert "no model came out" in ended.stderr
