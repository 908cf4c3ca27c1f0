"""What is given to run Gantry under systemd, in containers and before Prometheus speaks of things that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gantry.settings import Settings, resolve
from web_serving import web_served

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names that ``/metrics`` knows, those without a sample too."""
    with web_served(tmp_path_factory.mktemp("archive")) as web:
        text = web.http.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    buckets = {f"{name}_bucket" for name, kind in kinds.items() if kind == "histogram"}
    # The gauge of what stands is the DICOM listener's, which is not here.
    return {*kinds, *buckets, "gantry_associations"}


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:gantry|process)_\w+", re.sub(r'"[^"]*"', "", expression)))


def test_every_panel_of_the_dashboard_asks_for_what_is_counted(metrics: set[str]) -> None:
    board = json.loads((DEPLOY / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = set[str]().union(*map(names_in, expressions))
    assert len(asked) > 12
    assert asked <= metrics, asked - metrics
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells


def test_every_alert_asks_for_what_is_counted(metrics: set[str]) -> None:
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    asked = set[str]().union(
        *(names_in(rule["expr"]) for group in rules["groups"] for rule in group["rules"])
    )
    assert asked
    assert asked <= metrics, asked - metrics


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*")), ids=lambda path: path.name)
def test_settings_that_are_named_exist(path: Path) -> None:
    if path.is_dir():
        return
    known = {f"GANTRY_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"\bGANTRY_[A-Z_]+", path.read_text())) <= known


@pytest.mark.parametrize(("file", "kind"), [("one-node", "StatefulSet"), ("many-nodes", "Deployment")])
def test_probes_ask_for_paths_that_answer(tmp_path: Path, file: str, kind: str) -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{file}.yaml").read_text()))
    template = next(one for one in documents if one["kind"] == kind)["spec"]["template"]
    (container,) = template["spec"]["containers"]
    paths = [
        container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    ]
    paths.append(template["metadata"]["annotations"]["prometheus.io/path"])
    with web_served(tmp_path) as web:
        assert [web.http.get(path).status_code for path in paths] == [200] * 4
    ports = {port["containerPort"] for port in container["ports"]}
    assert ports == {Settings().http.port, Settings().dicom.port}
    # Who stops it waits longer than what is in flight may take.
    assert template["spec"]["terminationGracePeriodSeconds"] > 30


@pytest.mark.parametrize(("file", "service"), [("compose", "gantry"), ("many-nodes/compose", "balancer")])
def test_a_container_is_published_on_this_machine_alone(file: str, service: str) -> None:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / f"{file}.yaml").read_text())
    published = {name: one["ports"] for name, one in compose["services"].items() if "ports" in one}
    assert list(published) == [service]
    assert all(port.startswith("127.0.0.1:") for port in published[service])


def test_what_nodes_share_can_be_set() -> None:
    """The settings of the files for many nodes are read as they stand there."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "many-nodes.yaml").read_text()))
    secret = next(one for one in documents if one["kind"] == "Secret")["stringData"]
    compose = yaml.safe_load((DEPLOY / "many-nodes" / "compose.yaml").read_text())
    node = compose["services"]["node"]["environment"] | {"GANTRY_STORE": "s3://BUCKET"}
    for environment in (secret, node):
        settings = resolve(environment=environment, config_file=None).settings
        assert settings.store.url
        assert settings.index.url


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = (
        (DEPLOY / "gantry.service").read_text().replace("/opt/gantry/bin/gantry", shutil.which("true") or "")
    )
    path = tmp_path / "gantry.service"
    path.write_text(unit)
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    # Other units of this machine are looked at, too
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.name in line]) == (0, [])
