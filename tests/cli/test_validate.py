"""`yifang validate`: files and folders, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app

PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "张"}]}
PROFILE: dict[str, Any] = {
    "resourceType": "StructureDefinition",
    "url": "http://x.org/StructureDefinition/born",
    "type": "Patient",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Patient", "path": "Patient"}, {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files that are right and one that is wrong."""
    inside = tmp_path / "files"
    inside.mkdir()
    (inside / "a.json").write_text(json.dumps(PATIENT), "utf-8")
    (inside / "b.json").write_text(json.dumps(PATIENT | {"gender": "男"}), "utf-8")
    (inside / "c.xml").write_text('<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>', "utf-8")
    return inside


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of the command."""
    done = CliRunner().invoke(app, ["validate", *map(str, arguments)])
    return done.exit_code, done.output


def lines(*arguments: object) -> list[dict[str, Any]]:
    """The objects that --json prints."""
    return [json.loads(line) for line in run(*arguments, "--json")[1].splitlines()]


def test_one_object_a_file_says_what_is_wrong_where(folder: Path) -> None:
    a, b, c = lines(folder)
    assert [Path(x["file"]).name for x in (a, b, c)] == ["a.json", "b.json", "c.xml"]
    assert [x["valid"] for x in (a, b, c)] == [True, False, True]
    error = next(i for i in b["issues"] if i["severity"] == "error")
    assert error["code"] == "code-invalid" and error["expression"] == "Patient.gender" and "male" in error["text"]
    assert run(folder)[0] == 1 and run(folder / "a.json")[0] == 0


def test_a_person_reads_chinese(folder: Path) -> None:
    code, output = run(folder)
    assert code == 1 and "b.json: 无效" in output and "错误 Patient.gender" in output and "a.json: 有效" in output


def test_a_profile_is_given_as_file_or_by_url(folder: Path, tmp_path: Path) -> None:
    profile = tmp_path / "born.json"
    profile.write_text(json.dumps(PROFILE), "utf-8")
    assert run(folder / "a.json", "--profile", profile)[0] == 1
    assert run(folder / "a.json", "--definitions", profile, "--profile", PROFILE["url"])[0] == 1
    assert "没有档案" in run(folder / "a.json", "--profile", "http://x.org/none")[1]


def test_what_is_no_json_or_says_a_name_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", "utf-8")
    (tmp_path / "twice.json").write_text('{"resourceType": "Patient", "active": true, "active": false}', "utf-8")
    bad, twice = lines(tmp_path)
    assert not bad["valid"] and bad["issues"][0]["code"] == "structure"
    assert not twice["valid"] and twice["issues"][0]["expression"] == "active"
