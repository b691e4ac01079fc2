"""What must be there: elements that R4 requires, exactly one key a block, a key of its own in every `each`."""

from __future__ import annotations

from gateway.mapping import plan
from gateway.mapping.check.walk import bodies
from gateway.mapping.model import Fault
from gateway.mapping.values import walk


def check(made: plan.MapPlan, faults: list[Fault]) -> None:
    """Required elements and keys."""
    for body, place, block in bodies(made):
        written = {e.slot.element.name for e in body.entries if not isinstance(e, plan.BlockPlan)}
        if block is not None and body is block.body and block.key is not None:
            written.add(block.key.slot.element.name if block.key.slot else "id")
        for element in body.elements.values():
            if element.min and element.name not in written:
                message = f"{body.path} 没有写 {element.name}, 而 FHIR R4 规定必须有"
                faults.append(Fault(place, "required-element", message, f"{element.name} = 值", f"在它下面加上 {element.name} 一行"))
    for block in made.all_blocks:
        _key(made, block, faults)


def _key(made: plan.MapPlan, block: plan.BlockPlan, faults: list[Fault]) -> None:
    if block.type == "Patient":
        if block.key is not None:
            faults.append(
                Fault(block.key.place, "patient-key", "Patient 不能有 key(...): 它的编号由网关分配", "let 名称 = person(号码字段, ...)", "删去这一行")
            )
        return
    if block.key is None:
        name = "identifier" if "identifier" in block.body.elements and block.body.elements["identifier"].many else "id"
        message = f"块 {block.name} 没有业务号"
        faults.append(Fault(block.place, "no-key", message, f'{name} = key("命名空间", 机构代码, 号码, ...)', "在块里加上这一行"))
        return
    if block.key.slot is not None and not block.key.slot.many:
        message = f"{block.type}.identifier 只有一个, 来源自己的号码会被挤掉"
        faults.append(Fault(block.key.place, "key-in-scalar", message, "id = key(...)", "改成 id = key(...)"))
    if block.rows is not None and not _pinned(block.when, block) and not any(_own_row(v, block) for part in block.key.parts for v in walk(part)):
        message = f"块 {block.name} 按 {'/'.join(block.rows.path)} 重复, 业务号里却没有这一行的字段, 各行会变成同一份资源"
        faults.append(
            Fault(block.key.place, "each-without-key", message, "业务号里这一行自己的字段(不能是序号)", "在 key(...) 里加上能认出这一行的字段")
        )


def _pinned(when: plan.Condition | None, block: plan.BlockPlan) -> bool:
    """Whether the condition lets one value of the row through only (`when 病.代码 = "1"`): equal rows then give equal resources."""
    if isinstance(when, plan.All):
        return any(_pinned(p, block) for p in when.parts)
    return isinstance(when, plan.Compare) and when.op == "=" and _own_row(when.source, block)


def _own_row(value: plan.Value, block: plan.BlockPlan) -> bool:
    depth = len(block.chain)
    return (isinstance(value, plan.Read) and value.depth == depth) or (isinstance(value, plan.Item) and value.variable == f"r{depth}")
