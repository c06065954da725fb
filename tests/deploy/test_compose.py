"""What docker-compose.yml and the Dockerfile name exists: commands, options, variables, ports, paths, versions."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from typing import Any

import click
import pytest
import yaml

from stream import __version__
from tests.deploy.composed import (
    COMPOSE,
    DEPLOY,
    ROOT,
    TOKEN,
    command_lines,
    commands,
    filled,
    needs,
    ours,
    parsed,
    run,
    services,
    used_variables,
    variables,
)

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROMETHEUS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))


@needs("docker-compose")
@pytest.mark.parametrize("profiles", [(), ("demo",), ("observability",), ("demo", "observability")], ids=str)
def test_compose_takes_the_file(profiles: tuple[str, ...]) -> None:
    words = [word for profile in profiles for word in ("--profile", profile)]
    done = run("docker-compose", "--file", COMPOSE, *words, "config", "--quiet", SEGSTREAM_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "")


@needs("docker-compose")
def test_without_a_token_nothing_starts() -> None:
    done = run("docker-compose", "--file", COMPOSE, "config", "--quiet")
    assert done.returncode != 0
    assert "Whoever opens the dashboard must know it" in done.stderr


def test_every_part_is_there() -> None:
    assert set(ours()) == {"topics", "worker", "sink", "dashboard", "simulator"}
    assert set(services()) - set(ours()) == {"kafka", "redis", "prometheus", "grafana"}
    assert services()["simulator"]["profiles"] == ["demo"]
    assert services()["prometheus"]["profiles"] == services()["grafana"]["profiles"] == ["observability"]


@pytest.mark.parametrize(("service", "words"), list(command_lines()), ids=str)
def test_every_command_line_is_taken(service: str, words: list[str]) -> None:
    name, rest = parsed(words)
    command = commands()[name]
    environment = {key: filled(value) for key, value in ours()[service].get("environment", {}).items()}
    known = {"SEGSTREAM_TOKEN": TOKEN}
    # What is mounted lies elsewhere here.
    given = [word.replace("/etc/segstream/segments.yaml", str(ROOT / "stream" / "segments.yaml")) for word in rest]
    own = {key: known.get(key, value) for key, value in environment.items() if key in variables(name)}
    for key, value in own.items():
        option = variables(name)[key]
        option.type_cast_value(click.Context(command), [value] if option.multiple else value)
    with command.make_context(name, given, resilient_parsing=False) as context:
        assert context.params


@pytest.mark.parametrize("service", sorted(ours()))
def test_every_variable_is_one_of_the_services_commands(service: str) -> None:
    known = {key for name, words in command_lines() if name == service for key in variables(parsed(words)[0])}
    assert set(ours()[service].get("environment", {})) <= known


def test_variables_from_outside_are_settings_or_named_in_the_docs() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    settings = {key for name in commands() for key in variables(name)}
    for name in used_variables():
        assert f"`{name}`" in text, name
        assert name in settings or not name.startswith("SEGSTREAM_"), name


@pytest.mark.parametrize("service", sorted(services()))
def test_every_service_has_its_limits(service: str) -> None:
    found = services()[service]
    assert found["restart"] in ("unless-stopped", "on-failure")
    assert re.fullmatch(r"\d+[mg]", found["mem_limit"])
    assert re.fullmatch(r"\d+s", found["stop_grace_period"])
    assert "no-new-privileges:true" in found["security_opt"]
    for port in found.get("ports", []):
        assert port.startswith("127.0.0.1:"), "nothing is open to other machines unless somebody wants it"
    if "build" in found:
        assert found["read_only"] is True
        assert found["cap_drop"] == ["ALL"]


def test_redis_keeps_what_the_sink_needs() -> None:
    words = services()["redis"]["command"]
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"


def test_probes_lead_to_the_ports_that_are_served() -> None:
    ports = {
        "worker": "SEGSTREAM_WORKER_PORT",
        "sink": "SEGSTREAM_SINK_REDIS_PORT",
        "dashboard": "SEGSTREAM_DASHBOARD_PORT",
    }
    scraped = {}
    for job in PROMETHEUS["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            assert found["names"] == [job["job_name"]]
            scraped[job["job_name"]] = found["port"]
        for found in job.get("static_configs", []):
            (target,) = found["targets"]
            host, _, port = target.partition(":")
            assert host == job["job_name"]
            scraped[host] = int(port)
    assert set(scraped) == set(ports)
    for service, variable in ports.items():
        port = services()[service]["environment"][variable]
        assert f"127.0.0.1:{port}/livez" in services()[service]["healthcheck"]["test"][3]
        assert services()[service]["environment"][variable.replace("_PORT", "_HOST")] == "0.0.0.0"
        assert scraped[service] == port
    allowed = filled(services()["dashboard"]["environment"]["SEGSTREAM_DASHBOARD_ALLOW_HOST"])
    assert allowed == "dashboard", "Prometheus asks it by that name"
    assert services()["dashboard"]["ports"] == ["127.0.0.1:8080:8080"]


def test_mounted_files_are_there() -> None:
    for service in services().values():
        for volume in service.get("volumes", []):
            source = filled(volume).split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), volume
    mounts = [filled(volume).split(":")[1] for volume in services()["grafana"]["volumes"]]
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/segstream.yml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"]["path"] in mounts
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"


def test_images_are_exact_versions() -> None:
    images = [service["image"] for service in services().values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(images) >= 6
    for image in images:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*", image), image
    assert {service["image"] for service in ours().values()} == {f"segstream:{__version__}"}


def test_kafka_is_the_version_that_is_tested() -> None:
    pom = ElementTree.parse(ROOT / "scripts" / "kafka" / "pom.xml").getroot()
    kafka = pom.findtext(".//{*}dependency/{*}version")
    assert services()["kafka"]["image"] == f"apache/kafka:{kafka}"


def test_the_image_copies_what_is_there_and_runs_as_nobody() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert (ROOT / "deploy" / "segstream").stat().st_mode & 0o111
    volumes = re.search(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)
    assert volumes is not None
    for volume in services()["worker"]["volumes"]:
        target = filled(volume).split(":")[-1] if ":" not in filled(volume) else filled(volume).split(":")[1]
        assert target in volumes[1] or target.startswith("/etc/segstream/"), volume


def test_the_lock_has_all_that_runs_at_the_versions_that_are_tested() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "http" not in re.sub(r"#.*|aiohttp\S*|httpx?\S*", "", text), "no addresses of an index"
        return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))

    lock, tested = versions("requirements.lock"), versions("dev.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for dependency in project["dependencies"]:
        assert re.split(r"[<>=!~\[ ]", dependency)[0] in lock, dependency
    assert lock.items() <= tested.items()


def test_the_image_needs_no_other_python() -> None:
    assert re.findall(r"^FROM python:(\d+\.\d+)", DOCKERFILE, re.MULTILINE) == ["3.11", "3.11"]
