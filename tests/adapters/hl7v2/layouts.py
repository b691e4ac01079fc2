"""Layouts and messages that several tests use; all persons are invented, area code 39 is unassigned."""

from __future__ import annotations

from gateway.adapter import GroupLayout, Layout

_NTE = {"NTE": GroupLayout(each="NTE")}
GROUPS = {
    "OBR": GroupLayout(
        each="[ORC] OBR",
        groups={
            **_NTE,
            "OBX": GroupLayout(each="OBX", groups=_NTE),
            "SPM": GroupLayout(each="SPM", groups={"OBX": GroupLayout(each="OBX", options={"late": True})}),
        },
    )
}
USED = frozenset(
    "MSH-7 MSH-10 PID-3.1 PID-3.4.1 PID-3.5 PID-5 PID-7 PID-8 PID-13 PID-19 OBR/ORC-2.1 OBR/OBR-3.1 OBR/OBR-4.1 OBR/OBR-4.2 OBR/OBR-7 "
    "OBR/OBR-16.1 OBR/OBR-22 OBR/OBR-25 OBR/NTE/NTE-3 OBR/OBX/OBX-2 OBR/OBX/OBX-3.1 OBR/OBX/OBX-3.2 OBR/OBX/OBX-3.3 OBR/OBX/OBX-4 "
    "OBR/OBX/OBX-5 OBR/OBX/OBX-6 OBR/OBX/OBX-7 OBR/OBX/OBX-8 OBR/OBX/OBX-11 OBR/OBX/OBX-14 OBR/OBX/NTE/NTE-3 OBR/SPM/SPM-2.1 "
    "OBR/SPM/SPM-4.1 OBR/SPM/OBX/OBX-3".split()
)
COMPOSITES = frozenset("PID-3 PID-5 PID-13 ORC-2 OBR-3 OBR-4 OBR-16 OBX-3 OBX-5 OBX-6 SPM-2 SPM-4".split())
REPEATS = frozenset("PID-3 PID-5 PID-13 OBR-16 OBX-5 OBX-8 NTE-3".split())


def oru(fields: dict[str, str] | None = None, options: dict[str, object] | None = None, groups: dict[str, GroupLayout] | None = None) -> Layout:
    """A layout of ORU^R01 with these locators on top of the standard ones."""
    return Layout(
        "hl7v2_oru",
        "hl7v2_oru/test",
        fields if fields is not None else {"报告单号": "OBR-3.1"},
        groups or GROUPS,
        options=options or {"record_by": "报告单号"},
        composites=COMPOSITES,
        repeats=REPEATS,
        used=USED,
        message=("ORU^R01",),
    )


def adt() -> Layout:
    """A layout of ADT."""
    return Layout(
        "hl7v2_adt",
        "hl7v2_adt/test",
        {"就诊号": "PV1-19.1", "患者号": "PID-3.1 | PID-2.1 unless PV1-19.1"},
        {"DG1": GroupLayout(each="DG1")},
        composites=frozenset({"PID-3", "PID-5", "DG1-3"}),
        repeats=frozenset({"PID-3", "PID-5"}),
        used=frozenset({"MSH-9", "PID-3", "PID-5", "PV1-2", "DG1/DG1-3.1"}),
        message=("ADT",),
    )


MSH = "MSH|^~\\&|LIS|H1|YIFANG|C1|20260105093000||ORU^R01|{id}|P|{version}||||||{charset}\r"


def message(
    body: str = "PID|1||A100^^^LIS^PI||张^三||19800101|M\rOBR|1|P1|R1|GLU^血糖\rOBX|1|NM|GLU^血糖^L||5.60|mmol/L|3.9~6.1|N|||F\r",
    *,
    control_id: str = "M1",
    version: str = "2.4",
    charset: str = "UNICODE UTF-8",
    codec: str = "utf-8",
) -> bytes:
    """An ORU with this body."""
    return (MSH.format(id=control_id, version=version, charset=charset) + body).encode(codec)
