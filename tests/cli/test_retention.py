"""`gantry retention`: what goes is told first, is hidden with a note, and comes back when that is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Gantry
from command import Server
from gantry.cli.exits import Exit
from serving import ROOT, dataset, part10

STUDIES = {
    1: ("20100301", "CT"),
    2: ("20160301", "CT"),
    3: ("20100301", "MG"),
    4: ("", "CT"),
    5: ("20260101", "MR"),
}


@pytest.fixture
def data(tmp_path: Path, gantry: Gantry) -> Path:
    given = tmp_path / "given"
    given.mkdir()
    for study, (day, modality) in STUDIES.items():
        for n in (1, 2):
            image = dataset(n, study=study, StudyDate=day, Modality=modality)
            (given / f"{study}-{n}").write_bytes(part10(image))
    assert gantry("import", "--data", tmp_path / "data", given).out == "10 stored\n"
    return tmp_path / "data"


def uid(study: int) -> str:
    return f"{ROOT}.{study}"


RULES = ("--rule", "keep modality=MG", "--rule", "go older=10y", "--today", "2026-06-01")


def test_a_dry_run_says_what_would_go_and_changes_nothing(gantry: Gantry, data: Path) -> None:
    tried = gantry("retention", "--data", data, *RULES, "--dry-run")
    assert [line.split()[-1] for line in tried.lines[1:]] == [uid(1), uid(2)]
    assert tried.err.startswith("2 studies would go, ")
    assert gantry("history", "--data", data).err == "0 edits\n"
    told = gantry("retention", "--data", data, *RULES, "--dry-run", "--json").json
    assert [(one["study"], one["objects"], one["rule"]) for one in told] == [
        (uid(1), 2, "go older=10y"),
        (uid(2), 2, "go older=10y"),
    ]


def test_n15_rules_of_the_settings_are_the_default_and_hold_what_they_keep(
    gantry: Gantry, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTRY_RETENTION", "keep modality=MG, go older=10y")
    tried = gantry("retention", "--data", data, "--today", "2026-06-01", "--dry-run")
    assert [line.split()[-1] for line in tried.lines[1:]] == [uid(1), uid(2)]
    other = ("retention", "--data", data, "--rule", "go older=1d modality=MG")
    held = gantry(*other)
    assert held.code == Exit.PROBLEMS
    assert "under the rule of retention 'keep modality=MG'" in held.err
    delete = ("edit", "delete", "--data", data, "--study", uid(3), "--why", "a phantom")
    held = gantry(*delete)
    assert (held.code, "only by force" in held.err) == (Exit.USAGE, True)
    assert gantry(*delete, "--dry-run").code == Exit.USAGE
    assert gantry(*delete, "--force", "--who", "Ada").code == 0
    (row,) = gantry("history", "--data", data, "--json").json
    assert (row["who"], row["why"][:20]) == ("Ada", "a phantom [by force:")
    assert gantry("revert", "--data", data, "1", "--why", "x").code == 0
    assert gantry(*other, "--force").code == 0


def test_what_went_is_a_note_comes_back_and_does_not_go_twice(gantry: Gantry, data: Path) -> None:
    assert gantry("retention", "--data", data, *RULES, "--who", "Ada").err.startswith("2 studies went, ")
    rows = gantry("history", "--data", data, "--json").json
    assert [(row["kind"], row["who"], row["why"]) for row in rows] == [
        ("reject", "Ada", "retention: go older=10y")
    ] * 2
    assert gantry("retention", "--data", data, *RULES).lines == []
    assert gantry("stats", "--data", data, "--json").json[0]["instances"] == 6 + 2  # and a note for each
    assert gantry("revert", "--data", data, rows[0]["edit"], "--why", "asked for").code == 0
    again = gantry("retention", "--data", data, *RULES, "--dry-run", "--json").json
    assert len(again) == 1
    assert gantry("verify", "--data", data).code == 0


def test_beside_a_server_the_server_does_it_and_says_the_same(
    gantry: Gantry, server: Server, data: Path, tmp_path: Path
) -> None:
    assert gantry("send", "--peer", server.web, *sorted((tmp_path / "given").iterdir())).code == 0
    alone = gantry("retention", "--data", data, *RULES, "--dry-run", "--json").json
    assert gantry("retention", "--data", server.data, *RULES, "--dry-run", "--json").json == alone
    assert gantry("history", "--data", server.data).err == "0 edits\n"
    went = gantry("retention", "--data", server.data, *RULES, "--who", "Ada")
    assert [line.split()[-1] for line in went.lines[1:]] == [uid(1), uid(2)]
    assert went.err.startswith("2 studies went, ")
    rows = gantry("history", "--data", server.data, "--json").json
    assert [(row["kind"], row["who"], row["why"], row["via"]) for row in rows] == [
        ("reject", "Ada", "retention: go older=10y", "retention")
    ] * 2
    assert gantry("retention", "--data", server.data, *RULES).lines == []
    assert gantry("revert", "--data", server.data, rows[0]["edit"], "--why", "asked for").code == 0
    again = gantry("retention", "--data", server.data, *RULES, "--dry-run", "--json").json
    assert len(again) == 1
    assert gantry("retention", "--data", server.data, "--rule", "drop").code == Exit.USAGE


@pytest.mark.parametrize(
    ("rules", "going"),
    [
        (("go older=16y",), [1, 3]),
        (("go older=16y modality=CT|MR",), [1]),
        (("go older=5870d modality=CT", "go older=1y"), [1, 2, 3]),
        (("go older=100y",), []),
        (("keep", "go older=1d"), []),
    ],
)
def test_the_first_rule_that_fits_counts(
    gantry: Gantry, data: Path, rules: tuple[str, ...], going: list[int]
) -> None:
    words = [word for rule in rules for word in ("--rule", rule)]
    told = gantry("retention", "--data", data, *words, "--today", "2026-06-01", "--dry-run", "--json").json
    assert sorted(one["study"] for one in told) == [uid(study) for study in going]


@pytest.mark.parametrize(
    "rule", ["", "go", "go older=x", "drop older=1y", "go older=1y colour=red", "keep modality=ct"]
)
def test_a_rule_that_cannot_be_read_is_refused(gantry: Gantry, data: Path, rule: str) -> None:
    assert gantry("retention", "--data", data, "--rule", rule, "--dry-run").code == Exit.USAGE
