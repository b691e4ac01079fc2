"""Source profiles: one vendor's way of carrying a dataset (`sources/<profile>.toml`, docs/contracts.md)."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from gateway.adapter import GroupLayout, Layout
from gateway.mapping.fields import Dataset
from gateway.mapping.fields import Field as FormField
from gateway.mapping.model import Fault, Place

Text = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v)]


class Section(BaseModel):
    """A table of the profile; an unknown key is a fault that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Group(Section):
    """Where a repeating group is, and its own constants. Keys beside the named ones go to the adapter as group options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    each: str = ""
    fields: dict[str, str] = {}
    groups: dict[str, Group] = {}
    rows: list[dict[str, str]] = []
    constants: dict[str, Text] = {}

    def layout(self) -> GroupLayout:
        """As the adapter wants it."""
        inner = {name: group.layout() for name, group in self.groups.items()}
        return GroupLayout(self.each, self.fields, inner, self.rows, dict(self.model_extra or {}))


class Profile(Section):
    """One `sources/<profile>.toml`."""

    adapter: str
    vendor: str = ""
    version: Text = ""
    mode: Literal["snapshot", "delta"] = "snapshot"
    key: list[str | list[str]] = []
    stamp: str | list[str] = ""
    charset: str = ""
    message: list[str] = []
    options: dict[str, Any] = {}
    fields: dict[str, str] = {}
    constants: dict[str, Text] = {}
    groups: dict[str, Group] = {}
    split: dict[str, str] = {}
    codes: dict[str, dict[str, Text]] = {}
    tables: dict[str, str] = {}
    units: dict[str, str] = {}
    prefix: dict[str, dict[str, Text]] = {}
    ignored: dict[str, str] = {}

    @property
    def keys(self) -> list[list[str]]:
        """The alternatives of the record's key: the first whose parts are all there counts."""
        lists = [k for k in self.key if isinstance(k, list)]
        return lists or ([[str(k) for k in self.key]] if self.key else [])

    @property
    def stamps(self) -> list[str]:
        """Fields that order corrections; the first that is there counts."""
        return self.stamp if isinstance(self.stamp, list) else [self.stamp] if self.stamp else []

    def locators(self) -> dict[str, str]:
        """Field path (`用药/药物名称`) -> the sender's locator, for people."""
        found = dict(self.fields)
        for name, group in self.groups.items():
            _group_locators(group, name, found)
        return found


def _group_locators(group: Group, path: str, found: dict[str, str]) -> None:
    for row in reversed(group.rows):
        found |= {f"{path}/{field}": locator for field, locator in row.items()}
    found |= {f"{path}/{field}": locator for field, locator in group.fields.items()}
    for name, inner in group.groups.items():
        _group_locators(inner, f"{path}/{name}", found)


def read_profile(text: str, file: str, faults: list[Fault]) -> Profile | None:
    """Reads a profile; None, with faults that name the line, when it is not one."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        found = re.search(r"line (\d+), column (\d+)", str(e))
        place = Place(file, int(found[1]), int(found[2])) if found else Place(file, 1, 1)
        faults.append(Fault(place, "profile-toml", f"不是合法的 TOML: {e}", "TOML", "改正这一行"))
        return None
    try:
        return Profile.model_validate(raw)
    except ValidationError as e:
        for error in e.errors():
            path = [str(p) for p in error["loc"]]
            faults.append(
                Fault(place_of(text, file, path), "profile", f"{'.'.join(path)}: {error['msg']}", "docs/contracts.md 里列出的键", "改正或删去")
            )
        return None


def place_of(text: str, file: str, path: list[str]) -> Place:
    """Where a key of a TOML text stands, by its last named step; the first line when it is not found."""
    for name in reversed(path):
        found = re.search(rf'^[ \t]*(?:[\w."]*\.)?"?{re.escape(name)}"?[ \t]*=', text, re.M) or re.search(
            rf'^\[+[^\]]*"?{re.escape(name)}"?\]', text, re.M
        )
        if found:
            offset = found.start() + len(found.group()) - len(found.group().lstrip())
            return Place(file, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
    return Place(file, 1, 1)


def layout_of(profile: Profile, dataset: Dataset, name: str, used: frozenset[str], zone: str) -> Layout:
    """What the adapter compiles."""
    needed = {*(n.split(".")[0] for keys in profile.keys for n in keys), *(n.split(".")[0] for n in profile.stamps)}
    composites = frozenset(f.path for f in dataset.all_fields() if f.composite)
    repeats = frozenset(f.path for f in dataset.all_fields() if f.repeats)
    return Layout(
        dataset=dataset.name,
        profile=f"{dataset.name}/{name}",
        fields=profile.fields,
        groups={n: g.layout() for n, g in profile.groups.items()},
        options=profile.options,
        split=profile.split,
        composites=composites,
        repeats=repeats,
        used=used | frozenset(needed),
        charset=profile.charset,
        zone=zone,
        key=tuple(profile.keys[0]) if profile.keys else (),
        stamp=profile.stamps[0] if profile.stamps else "",
        message=tuple(profile.message),
    )


def check_profile(profile: Profile, dataset: Dataset, text: str, file: str, faults: list[Fault]) -> None:
    """Names in the profile that the dataset does not have, and codes outside a field's list."""

    def wrong(path: list[str], code: str, message: str, expected: str, step: str) -> None:
        faults.append(Fault(place_of(text, file, path), code, message, expected, step))

    by_name: dict[str, FormField] = {}
    for field in dataset.all_fields():
        by_name.setdefault(field.name, field)
        by_name[field.path] = field
    top = dataset.top.fields
    for section in ("fields", "constants", "split", "units", "codes", "prefix"):
        for name in getattr(profile, section):
            known: Mapping[str, object] = top if section == "fields" else by_name
            if name.split(".")[0] not in known:
                wrong(
                    [section, name],
                    "unknown-field",
                    f"[{section}] 里的 {name} 不是数据集 {dataset.name} 的字段",
                    f"{dataset.folder}/fields.csv 里的字段",
                    "改正字段名",
                )
    _check_groups(profile.groups, dataset.top.groups, dataset.name, wrong)
    for name in (*(n for keys in profile.keys for n in keys), *profile.stamps):
        if name.split(".")[0] not in by_name and name.split(".")[0] not in dataset.top.groups:
            wrong(
                ["key" if name not in profile.stamps else "stamp"],
                "unknown-field",
                f"key 或 stamp 里的 {name} 不是字段",
                "fields.csv 里的字段",
                "改正字段名",
            )
    if not profile.keys:
        wrong(["key"], "no-key", "没有写明记录的 key", 'key = ["健康档案编号", "随访日期"]', "写上能认出同一条记录的字段")
    for name, codes in profile.codes.items():
        found = by_name.get(name)
        if found is None or found.codes is None:
            continue
        national = {c.code for c in found.codes}
        for vendor, code in codes.items():
            if vendor == "*":
                wrong(["codes", name], "code-default", "代码对照不能有默认值 *", "每个厂商代码一行", "删去 *, 逐个写明")
            elif code not in national:
                wrong(
                    ["codes", name, vendor],
                    "code-not-national",
                    f"{name}: {vendor} 对到 {code}, 国家值域 {found.codes_name} 里没有",
                    "、".join(sorted(national)),
                    "改正对照",
                )


def _check_groups(groups: Mapping[str, Group], known: Mapping[str, Any], dataset: str, wrong: Any) -> None:
    for name, group in groups.items():
        if name not in known:
            wrong(["groups", name], "unknown-group", f"[groups.{name}] 不是数据集 {dataset} 的组", "、".join(known) or "(没有组)", "改正组名")
            continue
        for field in (*group.fields, *(f for row in group.rows for f in row), *group.constants):
            if field.split(".")[0] not in known[name].fields:
                wrong(["groups", name, field], "unknown-field", f"组 {name} 没有字段 {field}", "、".join(known[name].fields), "改正字段名")
        _check_groups(group.groups, known[name].groups, dataset, wrong)


def csv_places(text: str, file: str) -> dict[str, Place]:
    """First column of a table -> where it stands."""
    reader = csv.reader(io.StringIO(text))
    return {row[0]: Place(file, reader.line_num, 1) for row in reader if row}
