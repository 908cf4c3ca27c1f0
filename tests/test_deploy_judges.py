"""What other people's programs say of the files in ``deploy/``: linters, Kubernetes' schemas, Prometheus, HAProxy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "alerts.yaml"

WELL, ILL = "well:8080", "ill:8080"
BEFORE, SOON, AFTER = "98m", "125m", "290m"
NOT_SOON = {"GantryDamaged", "GantryDiskFillsUp"}
SERIES = {
    "up": ("1x300", "1x99 0x200"),
    "gantry_writable": ("1x300", "1x99 0x200"),
    # A few minutes of what heals are nobody's business.
    "gantry_damaged": ("0x99 2x30 0x170", "0x99 2x200"),
    "gantry_disk_free_bytes": ("1000000000x300", "1000000000x99 1000000000-1000000x200"),
    "gantry_behind": ("0 1 1 1 0 1 1 0 1x5 0x300", "0x99 1x200"),
    "gantry_c_store_total{}": ("0+100x300", "0+100x300"),
    "gantry_c_store_total": ("3x300", "0x99 0+5x200"),
}
"""Samples a minute apart, of a node that is well and of one that is ill from the hundredth minute on."""


def judged(program: str, *arguments: object) -> str:
    """Run a program that is installed beside Python, or by Debian; it must find nothing. What it says."""
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not on this machine")
    done = subprocess.run(
        [found, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_yamllint_finds_nothing() -> None:
    judged("yamllint", "--strict", ".yamllint", "deploy")


def test_hadolint_finds_nothing() -> None:
    judged("hadolint", DEPLOY / "Containerfile")


@pytest.mark.parametrize("path", sorted((DEPLOY / "kubernetes").iterdir()), ids=lambda path: path.stem)
def test_every_resource_is_one_that_kubernetes_has(path: Path) -> None:
    kinds = [document["kind"] for document in yaml.safe_load_all(path.read_text())]
    said = judged("kubernetes-validate", "--strict", path)
    assert len(kinds) >= 2
    for kind in kinds:
        assert f"resource {kind.lower()}/gantry" in said


def test_the_balancer_takes_its_file() -> None:
    judged("haproxy", "-c", "-f", DEPLOY / "many-nodes" / "haproxy.cfg")


def test_prometheus_takes_the_alerts_and_what_the_dashboard_asks(tmp_path: Path) -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    assert f"{len(rules)} rules found" in judged("promtool", "check", "rules", RULES)
    board = json.loads((DEPLOY / "dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    # Grafana puts these in before it asks
    asked = [one.replace("$__rate_interval", "1m").replace("$instance", ".*") for one in asked]
    recorded = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(asked)]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(asked)} rules found" in judged("promtool", "check", "rules", path)


def test_each_alert_tells_of_the_node_that_is_ill_and_of_no_other(tmp_path: Path) -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    values = {"GantryDamaged": "2"}
    tests: list[dict[str, Any]] = []
    for rule in rules:
        job = {"job": "gantry"} if rule["alert"] != "GantryRefuses" else {}
        summary = rule["annotations"]["summary"].replace("{{ $labels.instance }}", ILL)
        told = {
            "exp_labels": {"instance": ILL, **job, **rule["labels"]},
            "exp_annotations": {"summary": summary.replace("{{ $value }}", values.get(rule["alert"], ""))},
        }
        soon = [] if rule["alert"] in NOT_SOON else [told]
        for when, expected in ((BEFORE, []), (SOON, soon), (AFTER, [told])):
            tests.append({"eval_time": when, "alertname": rule["alert"], "exp_alerts": expected})
    series = [
        {"series": _series(name, instance), "values": samples}
        for name, both in SERIES.items()
        for instance, samples in zip((WELL, ILL), both, strict=True)
    ]
    judging = {"interval": "1m", "input_series": series, "alert_rule_test": tests}
    path = tmp_path / "alerts_test.yaml"
    path.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [judging]})
    )
    judged("promtool", "test", "rules", path)


def _series(name: str, instance: str) -> str:
    status = {"gantry_c_store_total{}": "0000", "gantry_c_store_total": "A700"}.get(name)
    more = f', status="{status}"' if status else ""
    return f'{name.removesuffix("{}")}{{job="gantry", instance="{instance}"{more}}}'
