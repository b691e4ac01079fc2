"""A small dataset in memory: a laboratory form with a group, a repeating field and limits; its map is given by each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from pydantic import BaseModel

from gateway.adapter import Extract, Feed, Layout
from gateway.config import SourceConfig
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.mapping.catalogue import Binding, Catalogue, MapContext
from gateway.mapping.files import MapFiles
from gateway.mapping.model import Fault
from gateway.record import MapResult, Record, Row

HEADER = "name,label,group,repeats,de_code,type,codes,unit,possible_low,possible_high,alarm_low,alarm_high,required,severity,identifier,source,note"
FIELDS = f"""{HEADER}
机构代码,机构代码,,,,text,,,,,,,key,hold,,本系统自定,
报告号,报告单号,,,,text,,,,,,,key,hold,,本系统自定,
身份证号,身份证号,,,,id,,,,,,,no,,居民身份证,本系统自定,
病人号,病人号,,,,text,,,,,,,no,,local:病人号,本系统自定,
姓名,姓名,,,,text,,,,,,,no,,@name,本系统自定,
性别,性别,,,,code,性别,,,,,,no,,@sex,本系统自定,
状态,报告状态,,,,code,1=已审核|2=已更正,,,,,,no,,,本系统自定,
体温,体温(℃),,,,decimal,,Cel,30,45,35,39,no,,,本系统自定,
症状,症状,,yes,,code,1=头痛|2=头晕,,,,,,no,,,本系统自定,
时间,报告时间,,,,datetime,,,,,,,no,,,本系统自定,
备注,备注,,,,text,,,,,,,no,,,本系统自定,
结果,结果,,,,group,,,,,,,no,,,本系统自定,
项目,项目代码,结果,,,text,,,,,,,no,,,本系统自定,
值,结果值,结果,,,text,,,,,,,no,,,本系统自定,
单位,单位,结果,,,text,,,,,,,no,,,本系统自定,
次数,次数,结果,,,integer,,,0,10,,,no,,,本系统自定,
序号,序号,结果,,,text,,,,,,,optional-key,,,本系统自定,
"""
TABLE = "source,source_display,target_system,target,target_display,equivalence,note\n"
TABLES = {
    "tables/valuesets.csv": "value_set,system,code,display,confidence,note\n性别,urn:oid:1.2.3,1,男,,\n性别,urn:oid:1.2.3,2,女,,\n",
    "tables/identifiers.csv": "name,system,type_code,strong,note\n居民身份证,urn:oid:2.16.156.10011.1.3,NI,yes,\n",
    "tables/codesystems.csv": "name,system\nloinc,http://loinc.org\nobservation-category,http://terminology.hl7.org/CodeSystem/observation-category\n",
    "tables/items.csv": "loinc,display,ucum,possible_low,possible_high,alarm_low,alarm_high,note\n14771-0,空腹血糖,mmol/L,0.3,60,2.8,16.7,\n",
    "tables/units.csv": "print,ucum,factor\nmmol/L,mmol/L,\n℃,Cel,\nkPa,kPa,\nmmHg,mm[Hg],\n",
    "tables/sex.csv": TABLE
    + "1,男,http://hl7.org/fhir/administrative-gender,male,Male,,\n2,女,http://hl7.org/fhir/administrative-gender,female,Female,,\n",
    "tables/items-table.csv": TABLE
    + "GLU,葡萄糖,http://loinc.org,14771-0,Glucose,,\nK,钾,http://loinc.org,2823-3,Potassium,,\nX,杂项,,,,unmatched,\n",
    "tables/status.csv": TABLE + "1,,urn:status,final,,,\n2,,urn:status,corrected,,,\n",
    "tables/short.csv": TABLE + "1,,urn:status,final,,,\n",
    "tables/bad-status.csv": TABLE + "1,,urn:status,finished,,,\n2,,urn:status,corrected,,,\n",
    "tables/symptoms.csv": TABLE + "1,头痛,http://snomed.info/sct,25064002,Headache,,\n2,头晕,http://snomed.info/sct,404640003,Dizziness,,\n",
}
PROFILE = """adapter = "plain"
key = ["机构代码", "报告号"]
stamp = "时间"
[fields]
"机构代码" = "ORG"
"报告号" = "NO"
"身份证号" = "ID_NO"
"体温" = "TEMP"
[groups."结果"]
each = "rows"
fields."项目" = "ITEM"
fields."值" = "VALUE"
fields."次数" = "TIMES"
"""
CARD = "390121197103010014"
CONTEXT = MapContext(IdScheme(TEST_KEY, "https://base.invalid/fhir"))


class PlainAdapter:
    """An adapter that takes any locator but those with a question mark."""

    name = "plain"
    options = BaseModel
    profile_options = BaseModel

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """Gives one row whose unit is the content."""

        def extract(content: bytes | BinaryIO) -> Iterator[Row]:
            assert isinstance(content, bytes)
            yield Row(layouts[0].dataset, {}, content)

        return extract

    def check_locator(self, locator: str) -> str | None:
        """A question mark is wrong."""
        return "不能有问号" if "?" in locator else None

    async def run(self, feed: Feed) -> None:
        """Passive."""


def catalogue(map_text: str, fields: str = FIELDS, profile: str = PROFILE, more: Mapping[str, str] | None = None) -> Catalogue:
    """The catalogue of the dataset `report` with this map."""
    files = {**TABLES, "lab/report/fields.csv": fields, "lab/report/report.map": map_text, "lab/report/sources/plain.toml": profile, **(more or {})}
    return Catalogue(MapFiles({k: v.encode() for k, v in files.items()}), {"plain": PlainAdapter()})


def faults(map_text: str, **changes: Any) -> list[Fault]:
    """What is wrong with the dataset."""
    return catalogue(map_text, **changes).faults


def source(**changes: Any) -> SourceConfig:
    """The configured source."""
    base = {"name": "s", "adapter": "plain", "profiles": ["report/plain"], "authority": "https://lis.invalid", "organisation": "390121"}
    return SourceConfig(**{**base, **changes})


def bind(map_text: str, **changes: Any) -> Binding:
    """The dataset bound to the source."""
    return catalogue(map_text, **changes).bind(source())


def record(binding: Binding, **fields: Any) -> Record:
    """A record of the small form; number, organisation and person are there unless given."""
    base = {"机构代码": "A1", "报告号": "R/1", "身份证号": CARD}
    return binding.record(Row("report", {k: v for k, v in {**base, **fields}.items() if v is not None}, b"unit"))


def run(map_text: str, **fields: Any) -> MapResult:
    """Maps one record."""
    binding = bind(map_text)
    return binding.map(record(binding, **fields), CONTEXT)
