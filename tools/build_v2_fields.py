"""Writes fields.csv of the HL7 v2 datasets from hl7apy's segment tables (HL7 v2.5.1; hl7apy is MIT licensed).

    python -m tools.build_v2_fields          writes mappings/clinical/{hl7v2_oru,hl7v2_adt}/fields.csv

Every field of the segments used stands there; what this project adds (keys, severity, what identifies a person) stands below in
`OWN` and `SAID`. Versions 2.3.1 to 2.5 are subsets in these segments: a field keeps its number.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from hl7apy.v2_5_1 import SEGMENTS

COLUMNS = (
    "name,label,group,repeats,de_code,type,codes,unit,possible_low,possible_high,alarm_low,alarm_high,required,severity,identifier,source,note"
).split(",")
TYPES = {"TS": "DTM", "NR": "CWE", "varies": "CWE"}
"""Types whose form here differs: TS is its first component; OBX-5 is whatever OBX-2 says, so a composite of unknown kind."""
OURS = "本系统自定"


@dataclass(frozen=True, slots=True)
class Own:
    """A field of this project's own: read from the message by a locator of the source profile, or a constant of it."""

    name: str
    type: str
    required: str
    severity: str
    note: str
    group: str = ""
    repeats: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset is made of. segments: (segment, group); groups: (path of the parent, name, note)."""

    own: tuple[Own, ...]
    segments: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, str, str], ...]
    only: dict[tuple[str, str], frozenset[int]] = field(default_factory=dict)


ORGANISATION = Own("机构代码", "id", "key", "hold", "来源所属机构, 由 profile 的常量 @organisation 给出")

DATASETS = {
    "hl7v2_oru": Dataset(
        own=(
            ORGANISATION,
            Own("报告单号", "id", "key", "hold", "一份报告的编号, 通常 OBR-3.1; 位置写在 profile"),
            Own("报告时间戳", "DTM", "no", "note", "决定更正先后: MSH-7 或 OBR-22, 位置写在 profile"),
            Own("就诊号", "id", "optional-key", "note", "通常 PV1-19.1"),
            Own("申请单号", "id", "optional-key", "note", "OBR-2.1, 没有时 ORC-2.1", "OBR"),
            Own("标本条码", "id", "optional-key", "note", "SPM-2; 2.3.1/2.4 没有 SPM, 由 profile 指定", "OBR"),
            Own("标本类型", "ST", "no", "note", "SPM-4.1, 再 OBR-15", "OBR"),
            Own("采集时间", "DTM", "no", "note", "SPM-17.1, 再 OBR-7", "OBR"),
            Own("接收时间", "DTM", "no", "note", "SPM-18, 再 OBR-14", "OBR"),
            Own("备注", "FT", "no", "note", "跟在 OBR 后的所有 NTE-3", "OBR", "yes"),
            Own("备注", "FT", "no", "note", "跟在 OBX 后的所有 NTE-3", "OBR/OBX", "yes"),
        ),
        segments=(
            ("MSH", ""),
            ("PID", ""),
            ("PV1", ""),
            ("ORC", "OBR"),
            ("OBR", "OBR"),
            ("OBX", "OBR/OBX"),
            ("SPM", "OBR/SPM"),
            ("OBX", "OBR/SPM/OBX"),
            ("NTE", "OBR/NTE"),
            ("NTE", "OBR/OBX/NTE"),
        ),
        groups=(
            ("", "OBR", "ORDER_OBSERVATION: 一个申请项目, ORC 在 OBR 之前"),
            ("OBR", "NTE", "申请项目的备注"),
            ("OBR", "OBX", "OBSERVATION: 一个结果"),
            ("OBR/OBX", "NTE", "结果的备注"),
            ("OBR", "SPM", "SPECIMEN: 标本, 2.5 起"),
            ("OBR/SPM", "OBX", "标本本身的观察"),
        ),
        only={("OBX", "OBR/SPM/OBX"): frozenset({3, 5}), ("NTE", "OBR/NTE"): frozenset({3}), ("NTE", "OBR/OBX/NTE"): frozenset({3})},
    ),
    "hl7v2_adt": Dataset(
        own=(
            ORGANISATION,
            Own("就诊号", "id", "optional-key", "note", "PV1-19.1; 没有时记录以患者号为键"),
            Own("患者号", "id", "optional-key", "note", "没有就诊号时的键: PID-3.1, 再 PID-2.1"),
            Own("患者标识", "id", "optional-key", "note", "PID-3.1, 再 PID-2.1: 过敏与保险的键"),
            Own("联系人标识", "id", "optional-key", "note", "NK1-33.1; 没有编号时 NK1-2 的姓名", "NK1"),
            Own("诊断代码", "id", "optional-key", "note", "DG1-3.1; 没有编码时 DG1-3.2 或 DG1-4 的文字", "DG1"),
            Own("过敏源", "id", "optional-key", "note", "AL1-3.1; 没有编码时 AL1-3.2 的文字", "AL1"),
            Own("保险号", "id", "optional-key", "note", "IN1-36, 再 IN1-2.1、IN1-3.1", "IN1"),
        ),
        segments=(("MSH", ""), ("EVN", ""), ("PID", ""), ("PV1", ""), ("PV2", ""), ("NK1", "NK1"), ("AL1", "AL1"), ("DG1", "DG1"), ("IN1", "IN1")),
        groups=(("", "NK1", "联系人"), ("", "AL1", "过敏"), ("", "DG1", "诊断"), ("", "IN1", "保险")),
    ),
}

SAID: dict[str, dict[str, str]] = {
    "PID-2": {"identifier": "@cx"},
    "PID-3": {"identifier": "@cx"},
    "PID-4": {"identifier": "@cx", "repeats": "yes"},
    "PID-5": {"identifier": "@name"},
    "PID-7": {"identifier": "@birth-date", "severity": "note"},
    "PID-8": {"identifier": "@sex", "severity": "note"},
    "PID-19": {"identifier": "居民身份证", "severity": "note"},
    "OBR-4": {"required": "yes", "severity": "hold"},
    "OBR-25": {"severity": "hold"},
    "OBX-3": {"required": "yes", "severity": "hold"},
    "OBX-4": {"required": "optional-key"},
    "OBX-5": {"note": "Observation value; 类型由 OBX-2 决定"},
    "OBX-11": {"severity": "hold"},
    "NK1-4": {"repeats": ""},
    "PV1-45": {"repeats": ""},
    "DG1-3": {"severity": "hold"},
    "AL1-3": {"severity": "hold"},
    "MSH-7": {"severity": "note"},
}


def rows(name: str) -> list[dict[str, str]]:
    """Rows of a dataset's fields.csv, in the order of the form: our own fields, then segment by segment."""
    dataset = DATASETS[name]
    found = [
        {
            "name": o.name,
            "label": o.name,
            "group": o.group,
            "type": o.type,
            "required": o.required,
            "severity": o.severity,
            "source": OURS,
            "note": o.note,
        }
        for o in dataset.own
    ]
    found += [
        {"name": n, "label": n, "group": g, "type": "group", "required": "no", "source": "HL7 v2.5.1", "note": note} for g, n, note in dataset.groups
    ]
    for segment, group in dataset.segments:
        found += _segment(segment, group, dataset.only.get((segment, group)))
    return found


def _segment(segment: str, group: str, only: frozenset[int] | None) -> list[dict[str, str]]:
    found = []
    for child, definition, (_, most), _ in SEGMENTS[segment][1]:
        number = int(child.rpartition("_")[2])
        if only is not None and number not in only:
            continue
        kind, title = definition[2], definition[3]
        row = {
            "name": f"{segment}-{number}",
            "label": f"{segment}-{number}",
            "group": group,
            "repeats": "yes" if most == -1 or most > 1 else "",
            "type": TYPES.get(kind, kind),
            "required": "no",
            "source": f"HL7 v2.5.1 {segment}",
            "note": title.replace("_", " ").capitalize(),
        }
        found.append(row | SAID.get(row["name"], {}))
    return found


def render(name: str) -> str:
    """The file as text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(name))
    return out.getvalue()


def main() -> None:
    """Writes both files below the working directory."""
    for name in DATASETS:
        path = Path("mappings/clinical") / name / "fields.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(name), "utf-8", newline="\n")


if __name__ == "__main__":
    main()
