"""What the synthetic documents say, and the shapes in which senders say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shape:
    """How a sender writes: namespace or not, structuredBody or not, items in organizers or flat, which OID stands for people, numbers as
    REAL or as an ST that carries value and unit, sections with a LOINC code or known by their displayName only."""

    namespace: bool = True
    structured: bool = True
    organizers: bool = True
    staff: str = "1.7"
    real: bool = True
    coded_sections: bool = True


TEMPLATE = Shape()
"""As the standard's template has it."""


@dataclass(frozen=True, slots=True)
class Person:
    """The resident a document is about."""

    name: str = "欧阳示例"
    id_card: str = "390121197203150014"
    archive: str = ""
    sex: str = "1"
    sex_display: str = "男"
    born: str = "19720315"
    age: str = "53"
    phone: str = "13900000001"


@dataclass(frozen=True, slots=True)
class Item:
    """One laboratory result. value "" writes none; flag: 检查(检验)结果代码 1 正常 2 异常 3 不确定."""

    code: str
    name: str
    value: str
    unit: str
    flag: str = ""
    range: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a visit."""

    kind: str
    kind_name: str
    text: str
    start: str
    end: str = ""
    note: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A C0007 document."""

    number: str = "C0007-20260116-000031"
    report: str = "R202601160031"
    request: str = "A202601160031"
    specimen: str = "S2601160031"
    visit: str = "MZ202601160007"
    person: Person = Person()
    made: str = "20260116103005"
    reported: str = "20260116101500"
    collected: str = "20260116081000"
    received: str = "20260116083500"
    tested: str = "20260116092000"
    kind: str = "生化"
    kind_code: str = ""
    specimen_kind: str = "血清"
    specimen_state: str = "合格"
    items: Sequence[Item] = ()
    diagnosis: tuple[str, str] = ("I10.x00", "原发性高血压")
    organisation: tuple[str, str] = ("123900000000000018", "示例县人民医院")
    conclusion: str = ""
    note: str = ""
    replaces: str = ""
    pictures: int = 0  # bytes of narrative filling, for size


@dataclass(frozen=True, slots=True)
class Outpatient:
    """A C0002 document."""

    number: str = "C0002-20260116-000007"
    visit: str = "MZ202601160007"
    person: Person = Person()
    made: str = "20260116093000"
    time: str = "20260116084500"
    department: tuple[str, str] = ("0301", "心血管内科门诊")
    organisation: tuple[str, str] = ("123900000000000018", "示例县人民医院")
    doctor: tuple[str, str] = ("1023", "陈示范")
    allergic: str = "true"
    allergy: str = "青霉素(皮疹)"
    complaint: str = "反复头晕3年，加重2天"
    present: str = "3年前起反复头晕，自测血压最高168/102mmHg，不规律服药；2天前头晕加重，无恶心呕吐，无肢体麻木。"
    past: str = "否认糖尿病、冠心病史。"
    examination: str = "神清，BP 166/100mmHg，心率78次/分，律齐，双肺呼吸音清，双下肢无水肿。"
    tests: Sequence[tuple[str, str]] = (("心电图", "窦性心律，左室高电压"),)
    first: tuple[str, str] = ("2", "复诊")
    four: str = ""
    diagnoses: Sequence[tuple[str, str]] = (("I10.x00", "原发性高血压"),)
    icd: str = "11.3"
    tcm: tuple[str, str, str, str] | None = None
    basis: str = ""
    principle: str = ""
    orders: Sequence[Order] = field(default_factory=tuple)
