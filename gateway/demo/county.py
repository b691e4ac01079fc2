"""The county's institutions and staff: two lead hospitals with a consortium each, one sub-area centre, three townships, nine villages."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.demo.names import given_name, surname

__all__ = ["AREA", "County", "Department", "Institution", "Staff", "county"]

AREA = "390121"
"""Division code of the county; 39 is not assigned to any province (GB/T 2260)."""

_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


@dataclass(frozen=True, slots=True)
class Department:
    """A department of an institution."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Institution:
    """level: 1 county, 2 sub-area, 3 township, 4 village, as the form 机构 has it; upper: the institution above; lead: lead hospital
    of its consortium; area: division code, of a township 9 and of a village 12 digits."""

    code: str
    name: str
    level: str
    kind: str
    area: str
    upper: str = ""
    lead: str = ""
    credit_code: str = ""
    departments: tuple[Department, ...] = ()


@dataclass(frozen=True, slots=True)
class Staff:
    """One member of staff. kind: 人员类别 of the form (1 physician, 2 nurse, 3 pharmacist, 4 technician, 5 public health, 6 village doctor)."""

    institution: str
    number: str
    name: str
    kind: str
    department: Department | None = None


@dataclass(frozen=True, slots=True)
class County:
    """All institutions and staff, by code and by institution."""

    institutions: dict[str, Institution]
    staff: dict[str, tuple[Staff, ...]]

    def at_level(self, level: str) -> list[Institution]:
        """Institutions of one level, in the order of their codes."""
        return [i for i in self.institutions.values() if i.level == level]

    def of_kind(self, institution: str, kind: str) -> list[Staff]:
        """Members of staff of one kind at an institution."""
        return [s for s in self.staff[institution] if s.kind == kind]


HOSPITAL = (
    Department("0301", "心血管内科"),
    Department("0305", "内分泌科"),
    Department("0401", "普外科"),
    Department("0501", "儿科"),
    Department("3001", "检验科"),
)
TOWNSHIP = (Department("0101", "全科"), Department("0201", "公共卫生科"), Department("3001", "检验室"))
VILLAGE_NAMES = ("柳溪", "石桥", "前营", "杏坪", "青岭", "后湾", "竹塘", "北沟", "新庄")
TOWNSHIP_NAMES = ("云岭镇", "临湖镇", "沙河乡")


def credit_code(first17: str) -> str:
    """Unified social credit code with its check character (GB 32100-2015)."""
    rest = sum(_USCC.index(c) * w for c, w in zip(first17, _USCC_WEIGHTS, strict=True)) % 31
    return first17 + _USCC[(31 - rest) % 31]


def county(chance: Random) -> County:
    """The county; the same seed gives the same staff, the institutions are always the same."""
    institutions = {i.code: i for i in _institutions()}
    return County(institutions, {code: _staff(institution, chance) for code, institution in institutions.items()})


def _institutions() -> list[Institution]:
    people, chinese = f"{AREA}001", f"{AREA}002"
    found = [
        Institution(people, "云溪县人民医院", "1", "A100", AREA, lead=people, departments=HOSPITAL),
        Institution(chinese, "云溪县中医院", "1", "A210", AREA, lead=chinese, departments=HOSPITAL),
        Institution(f"{AREA}101002", "云岭片区诊疗中心", "2", "B100", f"{AREA}101", people, people, departments=TOWNSHIP),
    ]
    for t, town in enumerate(TOWNSHIP_NAMES, 1):
        area = f"{AREA}{100 + t}"
        lead = people if t < 3 else chinese
        upper = f"{AREA}101002" if t == 1 else lead
        found.append(Institution(f"{area}001", f"{town}卫生院", "3", "C200", area, upper, lead, departments=TOWNSHIP))
        for v in range(1, 4):
            name = f"{town}{VILLAGE_NAMES[(t - 1) * 3 + v - 1]}村卫生室"
            found.append(Institution(f"{area}{100 + v}", name, "4", "D600", f"{area}{100 + v}", f"{area}001", lead))
    return [_with_credit_code(i) for i in found]


def _with_credit_code(institution: Institution) -> Institution:
    first17 = f"12{AREA}{institution.code[6:].rjust(9, '0')}"
    return Institution(
        institution.code,
        institution.name,
        institution.level,
        institution.kind,
        institution.area,
        institution.upper,
        institution.lead,
        credit_code(first17),
        institution.departments,
    )


_KINDS = {"1": ("1", "1", "1", "1", "1", "2", "2", "3", "4", "4"), "2": ("1", "1", "2", "4", "5"), "3": ("1", "1", "2", "3", "4", "5"), "4": ("6",)}


def _staff(institution: Institution, chance: Random) -> tuple[Staff, ...]:
    departments = institution.departments
    members = []
    for at, kind in enumerate(_KINDS[institution.level], 1):
        department = None
        if departments:
            department = departments[-1] if kind == "4" else departments[(at - 1) % (len(departments) - 1)]
        members.append(Staff(institution.code, f"{at:04}", surname(chance) + given_name(chance), kind, department))
    return tuple(members)
