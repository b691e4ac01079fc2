"""Every field of the form is used or ignored for a reason; every let and fragment serves something."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.mapping import plan
from gateway.mapping.model import Fault
from gateway.mapping.profile import Profile


def check(made: plan.MapPlan, profiles: Mapping[str, Profile], faults: list[Fault]) -> None:
    """Fields, lets, fragments."""
    used = {path for path, _ in made.used}
    has_person = any(isinstance(let.value, plan.Person) for let in made.lets)
    ordering = {
        n.replace(".", "/").split("/")[0] if n in made.dataset.top.fields else n.replace(".", "/") for p in profiles.values() for n in _ordering(p)
    }
    for field in made.dataset.all_fields():
        demographic = has_person and field.identifier.startswith("@") and not field.group
        if field.path in made.ignored:
            if field.path in used:
                message = f"字段 {field.path} 写了 ignore, 映射里却用了它"
                faults.append(Fault(field.place, "ignored-and-used", message, "用它, 或 ignore 它", "删去 ignore 里的它"))
        elif field.path not in used and not demographic and field.path not in ordering:
            message = f"字段 {field.path} 既没有用, 也没有 ignore"
            faults.append(
                Fault(
                    field.place,
                    "unused-field",
                    message,
                    f"{made.file} 里的一行",
                    f'在映射里用它, 或写 ignore {field.path.replace("/", ".")} because "原因"',
                )
            )
    for let in made.lets:
        if not let.used:
            faults.append(Fault(let.place, "unused-let", f"let {let.name} 没有用到", "有用的名称", "删去这一行, 或用它"))
    for fragment in made.fragments.values():
        if not fragment.used:
            faults.append(Fault(fragment.place, "unused-fragment", f"片段 {fragment.name} 没有用到", "有用的片段", "删去它, 或用它"))


def _ordering(profile: Profile) -> list[str]:
    return [*(n for keys in profile.keys for n in keys), *profile.stamps]
