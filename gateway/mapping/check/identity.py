"""Identity across two versions of a map set: a changed key line gives every resource a new id, so it must say `was key(...)`."""

from __future__ import annotations

from gateway.mapping import plan
from gateway.mapping.model import Fault


def check_change(before: plan.MapPlan, after: plan.MapPlan, faults: list[Fault]) -> None:
    """Blocks of the same name and type whose key changed without `was` naming the key they had."""
    old = {b.name: b for b in before.all_blocks}
    for block in after.all_blocks:
        known = old.get(block.name)
        if known is None or known.key is None or block.key is None or known.type != block.type or known.key.text == block.key.text:
            continue
        if block.key.was != known.key.text:
            message = f"块 {block.name} 的业务号由 key({known.key.text}) 改成了 key({block.key.text}), 已有的资源会全部换号"
            step = f"恢复原来的 key, 或在行末写 was key({known.key.text})"
            faults.append(Fault(block.key.place, "key-changed", message, f"was key({known.key.text})", step))
