"""The file set: layers, snapshots, activation, the sign-off table and coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError, Finding, MapError
from gateway.mapping import golden
from gateway.mapping.activation import verdict
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.coverage import coverage
from gateway.mapping.document import markdown
from gateway.mapping.files import MapFiles
from tests.mapping import small
from tests.mapping.test_compile import HEAD, KEY, NESTED, observation, whole

MAP = whole(HEAD + NESTED)
EXAMPLE = (
    '{"profile": "plain", "fields": {"机构代码": "A1", "报告号": "1", "身份证号": "390121197103010014", "状态": "1", '
    '"结果": [{"项目": "K", "值": "4.10", "单位": "mmol/L"}]}}'
)


def test_site_lies_over_the_built_in_set(tmp_path: Path) -> None:
    for folder, name, text in (("a", "x.csv", "1"), ("a", "y.map", "1"), ("b", "x.csv", "2"), ("b", ".hidden.csv", "3"), ("b", "z.py", "4")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    files = MapFiles.from_folders([tmp_path / "a", tmp_path / "b"])
    assert dict(files) == {"x.csv": b"2", "y.map": b"1"}
    assert files.digest != MapFiles.from_folders([tmp_path / "a"]).digest


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="没有这个文件夹"):
        MapFiles.from_folders([tmp_path / "none"])


def test_snapshot_restores_the_same_set() -> None:
    files = small.catalogue(MAP).files
    assert MapFiles.from_snapshot(files.snapshot()).digest == files.digest
    assert files.snapshot() == MapFiles.from_snapshot(files.snapshot()).snapshot()


def accepted(text: str = MAP) -> Catalogue:
    """A catalogue with one accepted example."""
    example = {"lab/report/examples/one.in.json": EXAMPLE}
    (outcome, _) = next(iter(golden.test(small.catalogue(MAP, more=example))))
    return small.catalogue(text, more={**example, "lab/report/examples/one.out.json": outcome.bundle})


def test_a_set_takes_effect_only_when_it_checks_and_its_goldens_pass() -> None:
    assert verdict(accepted(), accepted()).passes
    wrong = verdict(accepted(MAP.replace('"14771-0"', '"14771-1"')))
    assert not wrong.passes and any("+" in line and "14771-1" in line for line in wrong.lines())
    broken = verdict(accepted(MAP.replace("subject = 患者", "subjekt = 患者")))
    assert not broken.passes and "subjekt" in broken.lines()[0]
    renamed = verdict(
        accepted(MAP.replace('key("lab", 机构代码, 报告号)', 'key("lab", 报告号)').replace("ignore", 'ignore 机构代码 because "x"\nignore', 1)),
        accepted(),
    )
    assert [f.code for f in renamed.faults] == ["key-changed"]


def test_golden_keeps_decimals_and_accepts(tmp_path: Path) -> None:
    catalogue = small.catalogue(MAP, more={"lab/report/examples/one.in.json": EXAMPLE})
    ((outcome, difference),) = golden.test(catalogue)
    assert difference and '"value": 4.10' in outcome.bundle
    (tmp_path / "lab/report/examples").mkdir(parents=True)
    outcome.accept(tmp_path)
    assert (tmp_path / "lab/report/examples/one.out.json").read_text("utf-8") == outcome.bundle
    assert not (tmp_path / "lab/report/examples/one.findings.txt").exists()


def test_version_follows_map_fields_profile_and_tables_only() -> None:
    def version(**changes: str) -> str:
        more = {k: v for k, v in changes.items() if "/" in k}
        return small.catalogue(changes.get("map", MAP), more=more).bind(small.source()).profile_of("report").version

    first = version()
    assert version() == first
    assert version(map=MAP + "# x\n") != first
    assert version(**{"tables/items-table.csv": small.TABLE + "K,,http://loinc.org,2823-3,,,\n"}) != first
    assert version(**{"tables/short.csv": small.TABLE}) == first


def test_bind_refuses_what_does_not_check_and_names_what_is_there() -> None:
    with pytest.raises(MapError, match="subjekt"):
        small.bind(MAP.replace("subject", "subjekt"))
    catalogue = small.catalogue(MAP)
    with pytest.raises(ConfigError, match="没有适配器 plane"):
        catalogue.bind(small.source(adapter="plane"))
    with pytest.raises(ConfigError, match="最接近的是 plain"):
        catalogue.bind(small.source(profiles=["report/plein"]))
    with pytest.raises(ConfigError, match="最接近的是 report"):
        catalogue.bind(small.source(profiles=["reports/plain"]))


def test_document_shows_every_line_with_its_field_and_reason() -> None:
    text = markdown(
        small.catalogue(whole(HEAD + f'Observation 单\n{KEY}  status = "final" when 备注\n  code = code("loinc", "1")\n')).entry("report")
    )
    assert '| status | "final" |  | 备注 | 5 |' in text
    assert '| identifier | key("lab", 机构代码, 报告号) | 机构代码、报告单号 |  | 4 |' in text
    assert "| 体温 | x |" in text


def test_coverage_tells_read_ignored_and_not_sent() -> None:
    entry = small.catalogue(observation("")).entry("report")
    codes = [Finding("unknown-code", "note", "代码 7", source="SEX")] * 3
    (made,) = coverage(entry, codes)
    states = {c.field: c.state for c in made.columns}
    assert (states["报告号"], states["体温"], states["病人号"]) == ("read", "ignored", "not-sent")
    assert made.unread == [] and made.as_dict()["codes"] == [{"source": "SEX", "message": "代码 7", "times": 3}]
