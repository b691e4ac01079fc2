"""Bound profiles: what they forbid, require and fix, in blocks (`meta.profile = profile(...)`) and extensions (`url = profile(...)`)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.fhir.profiles import Profile, Rule, matches
from gateway.mapping import plan
from gateway.mapping.check.walk import bodies, entries
from gateway.mapping.fold import folded
from gateway.mapping.model import Fault, Place

_PREFIX = "{base}/StructureDefinition/"


def check(made: plan.MapPlan, known: Mapping[str, Profile], faults: list[Fault]) -> None:
    """All blocks and extensions of one map."""
    for block in made.all_blocks:
        for name in block.profiles:
            profile = known[name]
            if profile.type != block.type:
                faults.append(
                    Fault(block.place, "profile-type", f"规范 {name} 是 {profile.type} 的, 不是 {block.type} 的", profile.type, "换一个规范")
                )
                continue
            has = {block.key.slot.element.name} if block.key is not None and block.key.slot is not None else set()
            _rules(made, block.body, profile, block.place, {f"{block.type}.{h}" for h in has}, faults)
    for body, place, _ in bodies(made):
        if body.type == "Extension":
            url = next(
                (e.value.value for e in body.entries if isinstance(e, plan.Set) and e.slot.key == "url" and isinstance(e.value, plan.Const)), ""
            )
            profile_ = known.get(url.removeprefix(_PREFIX)) if isinstance(url, str) and url.startswith(_PREFIX) else None
            if profile_ is not None:
                _rules(made, body, profile_, place, set(), faults)


def _rules(made: plan.MapPlan, body: plan.Body, profile: Profile, place: Place, has: set[str], faults: list[Fault]) -> None:
    written: dict[str, list[plan.Set | plan.Sub]] = {path: [] for path in has}
    for path, entry in entries(body, profile.type):
        written.setdefault(path, []).append(entry)
    for rule in profile.rules.values():
        if rule.slice:
            continue
        found = written.get(rule.path)
        parent = rule.path.rpartition(".")[0]
        if rule.max == 0 and found:
            at = made.lines[found[0].line].place
            faults.append(Fault(at, "not-in-profile", f"规范 {profile.name} 不允许 {rule.path}", "不写这个元素", "删去这一行, 或换一个规范"))
        elif (
            rule.min
            and found is None
            and (parent == profile.type or any(isinstance(e, plan.Sub) and e.base is None for e in written.get(parent, ())))
        ):
            message = f"规范 {profile.name} 要求 {rule.path}, 映射没有写"
            faults.append(Fault(place, "profile-required", message, rule.path.partition(".")[2], "加上这一行"))
        for entry in found or ():
            _value(made, entry, rule, profile, faults)
    for path in {r.path for r in profile.rules.values() if r.slice and r.path == r.sliced}:
        for name in profile.slices(path):
            _slice(body, profile, path, name, written.get(path, []), place, faults)


def _value(made: plan.MapPlan, entry: plan.Set | plan.Sub, rule: Rule, profile: Profile, faults: list[Fault]) -> None:
    at = made.lines[entry.line].place
    if rule.types and entry.slot.type and entry.slot.element.choice and entry.slot.type not in rule.types:
        message = f"规范 {profile.name} 里 {rule.path} 不能是 {entry.slot.type}"
        faults.append(Fault(at, "not-in-profile", message, "、".join(rule.types), "换成允许的类型"))
    value = (
        entry.value.value
        if isinstance(entry, plan.Set) and isinstance(entry.value, plan.Const)
        else folded(entry)
        if isinstance(entry, plan.Sub)
        else None
    )
    if value is None:
        return
    if (
        rule.fixed is not None
        and value != rule.fixed
        and not (isinstance(rule.fixed, str) and isinstance(value, str) and _same_url(rule.fixed, value))
    ):
        message = f"规范 {profile.name} 规定 {rule.path} 是 {_shown(rule.fixed)}, 这里写的是 {_shown(value)}"
        faults.append(Fault(at, "profile-fixed", message, _shown(rule.fixed), "改成规定的值"))
    if rule.pattern is not None and not matches(value, rule.pattern):
        message = f"规范 {profile.name} 规定 {rule.path} 含有 {_shown(rule.pattern)}, 这里写的是 {_shown(value)}"
        faults.append(Fault(at, "profile-fixed", message, _shown(rule.pattern), "改成规定的值"))


def _slice(body: plan.Body, profile: Profile, path: str, name: str, found: list[plan.Set | plan.Sub], place: Place, faults: list[Fault]) -> None:
    """A required slice must have an entry whose constants are those of the slice."""
    rules = profile.slice_rules(path, name)
    fixed = [
        (r.path.removeprefix(path + "."), r.pattern if r.pattern is not None else r.fixed)
        for r in rules
        if r.pattern is not None or r.fixed is not None
    ]
    if not rules or not rules[0].min or not fixed:
        return
    for entry in found:
        if isinstance(entry, plan.Set) and (not isinstance(entry.value, plan.Const) or matches(entry.value.value, fixed[0][1])):
            return
        if isinstance(entry, plan.Sub) and all(_has(entry.body, p, v) for p, v in fixed):
            return
    shown = "、".join(f"{p} = {_shown(v)}" for p, v in fixed)
    faults.append(Fault(place, "profile-required", f"规范 {profile.name} 要求 {path} 有一项 {name}({shown}), 映射没有写", shown, "加上这一项"))


def _has(body: plan.Body, path: str, wanted: object) -> bool:
    for here, entry in entries(body, ""):
        if here.removeprefix(".") == path and isinstance(entry, plan.Set):
            return not isinstance(entry.value, plan.Const) or matches(entry.value.value, wanted)
    return False


def _same_url(a: str, b: str) -> bool:
    return a.rsplit("/", 1)[-1] == b.rsplit("/", 1)[-1] and "StructureDefinition" in a and "StructureDefinition" in b


def _shown(value: object) -> str:
    if isinstance(value, dict):
        codings = value.get("coding", [value])
        return "、".join(f"{c.get('system', '')}|{c.get('code', '')}" for c in codings if isinstance(c, dict))
    return str(value)
