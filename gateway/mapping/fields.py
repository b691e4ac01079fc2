"""`fields.csv`: a national or local form as a list of fields (docs/contracts.md, "A dataset folder")."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from gateway.errors import Severity
from gateway.mapping.model import Fault, Place
from gateway.terminology.tables import Code, Terms

COLUMNS = (
    "name,label,group,repeats,de_code,type,codes,unit,possible_low,possible_high,alarm_low,alarm_high,required,severity,identifier,source,note"
).split(",")
PLAIN_TYPES = frozenset({"text", "code", "date", "datetime", "time", "integer", "decimal", "boolean", "id", "phone", "group"})
PRIMITIVE_V2 = frozenset({"DT", "DTM", "FT", "GTS", "ID", "IS", "NM", "SI", "ST", "TM", "TN", "TX", "varies", "TS_TEXT"})
_SEVERITIES: dict[str, Severity] = {"note": "note", "drop": "drop", "hold": "hold"}
REQUIRED = frozenset({"", "yes", "no", "key", "optional-key"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Possible and alarm limits in the field's unit; None = none."""

    possible_low: Decimal | None = None
    possible_high: Decimal | None = None
    alarm_low: Decimal | None = None
    alarm_high: Decimal | None = None

    def __bool__(self) -> bool:
        return any(v is not None for v in (self.possible_low, self.possible_high, self.alarm_low, self.alarm_high))


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. `path`: group path and name joined by `/`. codes: its national list, None when it has none."""

    name: str
    label: str
    group: tuple[str, ...]
    repeats: bool
    de_code: str
    type: str
    codes_name: str
    codes: tuple[Code, ...] | None
    unit: str
    limits: Limits
    required: str
    severity: Severity | None
    identifier: str
    source: str
    note: str
    place: Place

    @property
    def path(self) -> str:
        """`申请/结果/结果值`."""
        return "/".join((*self.group, self.name))

    @property
    def composite(self) -> bool:
        """Whether the value is a dict of components (HL7 v2 data types)."""
        return self.type not in PLAIN_TYPES and self.type not in PRIMITIVE_V2


@dataclass(slots=True)
class Group:
    """A repeating group, or the top (name ""). `declared`: its own row in fields.csv, if any."""

    name: str
    path: tuple[str, ...]
    fields: dict[str, Field] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    declared: Field | None = None

    def walk(self) -> Iterator[Group]:
        """This group and all below it."""
        yield self
        for inner in self.groups.values():
            yield from inner.walk()


@dataclass(slots=True)
class Dataset:
    """A form: its name, the folder it lies in and its fields."""

    name: str
    folder: str
    top: Group

    def all_fields(self) -> Iterator[Field]:
        """Every field, in the order of the groups."""
        for group in self.top.walk():
            yield from group.fields.values()

    @property
    def message_shaped(self) -> bool:
        """Whether its fields are named by HL7 v2 segments, where `""` clears."""
        return any("-" in f.name for f in self.all_fields())

    def group(self, path: tuple[str, ...]) -> Group | None:
        """The group of that path."""
        found: Group | None = self.top
        for step in path:
            found = found.groups.get(step) if found else None
        return found


def read_dataset(name: str, folder: str, text: str, terms: Terms, faults: list[Fault]) -> Dataset:
    """Reads `fields.csv`; what is wrong is added to faults and the row still kept where possible."""
    file = f"{folder}/fields.csv"
    dataset = Dataset(name, folder, Group("", ()))
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if header != COLUMNS:
        faults.append(Fault(Place(file, 1, 1), "fields-header", "表头与约定不符", ",".join(COLUMNS), "照抄这一行表头"))
        if not set(header) >= {"name", "type"}:
            return dataset
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return dataset
        if not any(row):
            continue
        place = Place(file, line, 1)
        if len(row) > len(header):
            faults.append(Fault(place, "fields-row", f"有 {len(row)} 列, 表头只有 {len(header)} 列", "与表头一样多的列", "带逗号的文字要加引号"))
        _add(dataset, {k: v.strip() for k, v in zip(header, row, strict=False)}, place, terms, faults)


def _add(dataset: Dataset, row: dict[str, str], place: Place, terms: Terms, faults: list[Fault]) -> None:
    def wrong(code: str, message: str, expected: str, step: str) -> None:
        faults.append(Fault(place, code, message, expected, step))

    def get(column: str) -> str:
        return row.get(column, "")

    path = tuple(p for p in get("group").split("/") if p)
    group = dataset.top
    for step in path:
        group = group.groups.setdefault(step, Group(step, (*group.path, step)))
    if get("required") not in REQUIRED:
        wrong("fields-required", f"required 写作 {get('required')}", "yes、no、key 或 optional-key", "改正这一列")
    if get("severity") not in {"", *_SEVERITIES}:
        wrong("fields-severity", f"severity 写作 {get('severity')}", "note、drop 或 hold", "改正这一列")
    made = Field(
        name=get("name"),
        label=get("label") or get("name"),
        group=path,
        repeats=get("repeats") == "yes",
        de_code=get("de_code"),
        type=get("type") or "text",
        codes_name=get("codes"),
        codes=_codes(get("codes"), dataset, get("name"), terms, place, faults),
        unit=get("unit"),
        limits=Limits(*(_number(get(c), c, place, faults) for c in ("possible_low", "possible_high", "alarm_low", "alarm_high"))),
        required=get("required") or "no",
        severity=_SEVERITIES.get(get("severity")),
        identifier=get("identifier"),
        source=get("source"),
        note=get("note"),
        place=place,
    )
    if not made.name:
        wrong("fields-name", "没有字段名", "name 列的字段名", "补上字段名")
    elif made.type == "group":
        inner = group.groups.setdefault(made.name, Group(made.name, (*path, made.name)))
        inner.declared = made
    elif made.name in group.fields:
        wrong("fields-twice", f"字段 {made.path} 写了两次", "同一组里字段名不重复", "改名或删去一行")
    else:
        group.fields[made.name] = made


def _number(text: str, column: str, place: Place, faults: list[Fault]) -> Decimal | None:
    if not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        faults.append(Fault(place, "fields-limit", f"{column} 写作 {text}", "数字", "改正这一列"))
        return None


def _codes(text: str, dataset: Dataset, name: str, terms: Terms, place: Place, faults: list[Fault]) -> tuple[Code, ...] | None:
    """A named list of valuesets.csv, or inline `1=男|2=女`, whose system is `{base}/codes/<dataset>/<field>`."""
    if not text:
        return None
    if "=" in text:
        pairs = (p.partition("=") for p in text.split("|") if p.strip())
        return tuple(Code(f"{{base}}/codes/{dataset.name}/{name}", code.strip(), display.strip()) for code, _, display in pairs)
    if (found := terms.value_sets.get(text)) is None:
        nearest = terms.nearest_value_set(text)
        faults.append(
            Fault(place, "unknown-value-set", f"valuesets.csv 里没有值域 {text}", f"已有的值域{nearest}", "改正 codes 列, 或在 valuesets.csv 里加上")
        )
    return found
