"""Well-formed messages of the town's systems, each for a resident of its own; a test spoils one thing."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import xlsxwriter

from tests.adapters.cda.documents import Item, Laboratory, Outpatient, Person, laboratory, outpatient
from tests.faults.town import VILLAGE

_numbers = itertools.count(1)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_digit(seventeen: str) -> str:
    """GB 11643-1999, 6.2."""
    return "10X98765432"[sum(w * int(d) for w, d in zip(_WEIGHTS, seventeen, strict=True)) % 11]


@dataclass(frozen=True, slots=True)
class Resident:
    """A resident that does not exist: area 390121 is unassigned."""

    number: int

    @property
    def name(self) -> str:
        """A name of their own."""
        return "司徒" + chr(0x4E00 + self.number)

    @property
    def born(self) -> str:
        """Date of birth."""
        return f"1960-{self.number % 12 + 1:02d}-{self.number % 28 + 1:02d}"

    @property
    def id_card(self) -> str:
        """18 digits; odd numbers are men's."""
        seventeen = f"390121{self.born.replace('-', '')}{self.number % 1000:03d}"
        return seventeen + check_digit(seventeen)

    @property
    def archive(self) -> str:
        """健康档案编号: 9 + 3 + 5 digits."""
        return f"390121103101{self.number:05d}"

    @property
    def sex(self) -> str:
        """National code of the sex that the ID card tells."""
        return "1" if self.number % 2 else "2"


def resident() -> Resident:
    """A resident whom no other test knows."""
    return Resident(next(_numbers))


def reading(who: Resident, **members: Any) -> dict[str, Any]:
    """A village post; a member given as None is left out."""
    number = next(_numbers)
    made: dict[str, Any] = {
        "orgCode": VILLAGE,
        "readingId": f"R{number:05d}",
        "updatedAt": "2026-04-01T08:31:10+08:00",
        "resident": {"idCard": who.id_card, "archiveNo": who.archive, "name": who.name, "sex": who.sex, "birthDate": who.born},
        "measuredAt": "2026-04-01T08:30:00+08:00",
        "bp": {"systolic": "138", "diastolic": "86"},
        "state": "1",
    }
    return {k: v for k, v in (made | members).items() if v is not None}


def oru(
    who: Resident, results: Sequence[tuple[str, str, str]] = (("14749-6^葡萄糖^LN", "5.60", "mmol/L"),), *, control: str = "", **fields: str
) -> bytes:
    """An ORU^R01 in UTF-8. results: (OBX-3, OBX-5, OBX-6). fields: type, application, charset, stamp, report, patient, person, born."""
    number = next(_numbers)
    value = {
        "type": "ORU^R01^ORU_R01",
        "application": "LIS",
        "charset": "UNICODE UTF-8",
        "stamp": "20260105093000",
        "report": f"R{number:05d}",
        "patient": f"A{who.number:05d}^^^LIS^PI~{who.id_card}^^^^NI",
        "person": who.name,
        "born": who.born.replace("-", ""),
        "panel": "BIO^生化^L",
        "specimen": "SER^血清^HL70487",
    } | fields
    control = control or f"M{number:05d}"
    head = f"MSH|^~\\&|{value['application']}|H1|YIFANG|C1|{value['stamp']}||{value['type']}|{control}|P|2.5.1||||||{value['charset']}"
    lines = [
        head,
        f"PID|1||{value['patient']}||{value['person']}||{value['born']}|{'M' if who.number % 2 else 'F'}",
        f"ORC|RE|P{value['report']}|{value['report']}||CM",
        f"OBR|1|P{value['report']}|{value['report']}|{value['panel']}|R|20260105080000|20260105081500|||||||||||||||{value['stamp']}||LAB|F",
        *(f"OBX|{n}|NM|{code}||{result}|{unit}||N|||F" for n, (code, result, unit) in enumerate(results, 1)),
        f"SPM|1|B{value['report']}||{value['specimen']}|||||||||||||20260105081000|20260105083000",
    ]
    return "".join(line + "\r" for line in lines).encode()


def report(who: Resident, items: Sequence[Item] = (Item("14771-0", "空腹血糖", "5.60", "mmol/L", "1"),), **more: Any) -> bytes:
    """A C0007 document."""
    number = next(_numbers)
    person = Person(who.name, who.id_card, "", who.sex, "", who.born.replace("-", ""), "66", "")
    base = Laboratory(number=f"D{number:05d}", report=f"C{number:05d}", request=f"Q{number:05d}", specimen=f"S{number:05d}", visit=f"V{number:05d}")
    return laboratory(replace(base, person=person, items=items, **more)).encode()


def visit(who: Resident) -> bytes:
    """A C0002 document."""
    number = next(_numbers)
    person = Person(who.name, who.id_card, "", who.sex, "", who.born.replace("-", ""), "66", "")
    return outpatient(Outpatient(number=f"D{number:05d}", visit=f"V{number:05d}", person=person)).encode()


def follow_up(who: Resident, **cells: Any) -> dict[str, Any]:
    """A row of the follow-up workbook by column."""
    row: dict[str, Any] = {
        "健康档案编号": who.archive,
        "身份证号码": who.id_card,
        "姓名": who.name,
        "性别": "男" if who.number % 2 else "女",
        "出生日期": who.born,
        "随访日期": "2026-02-10",
        "随访方式": "上门",
        "症状": "无症状",
        "收缩压(mmHg)": "152",
        "舒张压(mmHg)": "88",
        "服药依从性": "规律",
        "药物不良反应": "无",
        "此次随访分类": "控制不满意",
        "下次随访日期": "2026-05-10",
        "随访医生": "贺兰",
        "更新时间": "2026-02-10 11:00:00",
    }
    return row | cells


def workbook(rows: Sequence[Mapping[str, Any]], *, sheet: str = "高血压患者随访服务记录表") -> bytes:
    """An XLSX of the follow-up form; a cell `=...` is a formula whose cached value is #DIV/0!."""
    headers = list(dict.fromkeys(column for row in rows for column in row))
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        page = book.add_worksheet(sheet)
        page.write_row(0, 0, headers)
        for n, row in enumerate(rows, 1):
            for column, header in enumerate(headers):
                cell = str(row.get(header, ""))
                if cell.startswith("="):
                    page.write_formula(n, column, cell, None, "#DIV/0!")
                else:
                    page.write_string(n, column, cell)
    return buffer.getvalue()


def person_row(who: Resident, **columns: str) -> dict[str, str]:
    """A row of the platform's view of residents."""
    number = next(_numbers)
    row = {
        "ehr_no": who.archive,
        "name": who.name,
        "sex": "M" if who.number % 2 else "F",
        "birthday": who.born,
        "id_card": who.id_card,
        "org_code": VILLAGE,
        "is_void": "0",
        "update_time": f"2026-03-01 08:00:{number % 60:02d}",
    }
    return row | columns
