"""From a JSON body to records: members become the exact text of fields, one bad record does not stop the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from adapters.restjson.pointer import Path, fault, parse, resolve
from adapters.restjson.split import UNREADABLE, fault_at, pieces
from gateway.adapter import Extract, GroupLayout, Layout
from gateway.errors import ConfigError, Finding
from gateway.record import Fields, Row
from gateway.tabular import cell_text

__all__ = ["RestJsonProfileOptions", "extractor"]

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")
_Reader = Callable[[Any, list[Finding]], Fields]


class RestJsonProfileOptions(BaseModel):
    """[options] of a source profile with adapter = "restjson"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: str = Field("records", description="Member of a single object that holds the batch, e.g. `records`.")
    match: dict[str, str] = Field(
        default_factory=dict, description="Locator = text that a record must have to belong to this profile, e.g. `{ kind = 'bp' }`."
    )


@dataclass(frozen=True, slots=True)
class _Profile:
    """A compiled profile. key: paths of its key fields, by which a record without `match` is known."""

    dataset: str
    read: _Reader
    match: tuple[tuple[Path, str], ...]
    key: tuple[Path, ...]
    records: str

    def takes(self, record: dict[str, Any]) -> bool:
        """Whether the record is of this profile."""
        if self.match:
            return all(cell_text(resolve(record, path)) == text for path, text in self.match)
        return all(resolve(record, path) is not None for path in self.key)


def extractor(layouts: Sequence[Layout]) -> Extract:
    """The adapter's compiled function. Raises ConfigError for a locator that is no member name and no JSON pointer."""
    profiles = [_profile(layout) for layout in layouts]

    def extract(content: bytes | BinaryIO) -> Iterator[Row]:
        for number, (offset, piece) in enumerate(pieces(content, profiles[0].records), 1):
            yield _row(profiles, piece, number, offset)

    return extract


def _row(profiles: Sequence[_Profile], piece: bytes, number: int, offset: int) -> Row:
    position = f"记录 {number}"
    try:
        record = _decoder.decode(piece)
    except (*UNREADABLE, ArithmeticError) as bad:
        text = f"{position}(正文第 {offset + fault_at(bad) + 1} 字节)不是合法的 JSON。请检查发送程序后重新发送这一条"
        return Row(profiles[0].dataset, {}, piece, position, (Finding("not-json", "hold", text, source=position),))
    if not isinstance(record, dict):
        text = f"{position}应为一个 JSON 对象。请检查发送程序后重新发送这一条"
        return Row(profiles[0].dataset, {}, piece, position, (Finding("not-an-object", "hold", text, source=position),))
    unit = _encoder.encode(record)
    profile = profiles[0] if len(profiles) == 1 and not profiles[0].match else next((p for p in profiles if p.takes(record)), None)
    if profile is None:
        known = "、".join(p.dataset for p in profiles)
        text = f"{position}不属于该来源的任何数据集(有: {known})。请核对记录的类型标志和主键成员, 改正后重新发送这一条"
        return Row(profiles[0].dataset, {}, unit, position, (Finding("unknown-dataset", "hold", text, source=position),))
    findings: list[Finding] = []
    fields = profile.read(record, findings)
    return Row(profile.dataset, fields, unit, position, tuple(findings))


def _profile(layout: Layout) -> _Profile:
    options = RestJsonProfileOptions.model_validate(dict(layout.options))
    read = _reader(layout.fields, layout.groups, layout, "")
    match = tuple((_checked(layout, "options.match", locator), text) for locator, text in options.match.items())
    key = tuple(parse(layout.fields[k]) for k in layout.key if k in layout.fields)
    return _Profile(layout.dataset, read, match, key, options.records)


def _reader(fields: Mapping[str, str], groups: Mapping[str, GroupLayout], layout: Layout, path: str) -> _Reader:
    before = f"{path}/" if path else ""
    plain = [(name, _checked(layout, before + name, loc), loc, _value(layout, before + name)) for name, loc in fields.items()]
    repeated = [(name, _group(group, layout, before + name)) for name, group in groups.items()]

    def read(record: Any, findings: list[Finding]) -> Fields:
        out: Fields = {}
        for name, at, locator, text_of in plain:
            raw = resolve(record, at)
            if raw is None:
                continue
            value = text_of(raw)
            if value is _STRUCTURE:
                findings.append(_structure(locator))
            elif value:
                out[name] = value
        for name, rows_of in repeated:
            if rows := rows_of(record, findings):
                out[name] = rows
        return out

    return read


_STRUCTURE = object()


def _value(layout: Layout, name: str) -> Callable[[Any], Any]:
    """How a member becomes a field: text, a list of texts, or for a composite its components."""
    split = re.compile(layout.split[name]) if name in layout.split else None
    many = name in layout.repeats or split is not None
    composite = name in layout.composites

    def one(raw: Any) -> Any:
        if isinstance(raw, dict):
            return {k: t for k, v in raw.items() if (t := cell_text(v))} if composite else _STRUCTURE
        return _STRUCTURE if isinstance(raw, list) else cell_text(raw)

    def value(raw: Any) -> Any:
        items = [one(item) for item in raw] if isinstance(raw, list) and many else [one(raw)]
        if _STRUCTURE in items:
            return _STRUCTURE
        if split is not None:
            items = [part.strip() for item in items if item for part in split.split(item) if part]
        present = [item for item in items if item]
        return present if many else next(iter(present), None)

    return value


def _group(group: GroupLayout, layout: Layout, path: str) -> Callable[[Any, list[Finding]], list[Fields]]:
    if group.rows:
        fixed = [_reader(row, {}, layout, path) for row in group.rows]
        return lambda record, findings: [f for read in fixed if (f := read(record, findings))]
    at = _checked(layout, path, group.each)
    read = _reader(group.fields, group.groups, layout, path)

    def rows_of(record: Any, findings: list[Finding]) -> list[Fields]:
        rows = resolve(record, at)
        if rows is None:
            return []
        items = rows if isinstance(rows, list) else [rows]
        if not all(isinstance(item, dict) for item in items):
            findings.append(_structure(group.each))
        return [f for item in items if isinstance(item, dict) and (f := read(item, findings))]

    return rows_of


def _checked(layout: Layout, name: str, locator: str) -> Path:
    wrong = fault(locator)
    if wrong is not None:
        raise ConfigError(f"{layout.profile}: {name}: {wrong}")
    return parse(locator)


def _structure(locator: str) -> Finding:
    text = f"成员“{locator}”的结构与来源配置不符(应为单个值, 组应为对象的数组), 未读取。请核对发送程序或来源配置(sources/*.toml)"
    return Finding("unexpected-structure", "hold", text, source=locator)
