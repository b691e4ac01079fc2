"""Search criteria on a resource in hand: the same conditions that a search has, asked of one version and not of the store.

https://hl7.org/fhir/R4/search.html; what needs other resources (chains, `_has`, lists) or a value set is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.errors import Finding, Refused
from gateway.fhir.query import Criterion
from gateway.store.index.keys import Indexer, default_indexer
from gateway.store.index.match.asked import Asked, NoTerms
from gateway.store.index.match.criterion import compile_criterion, is_known
from gateway.store.index.match.row import Condition, Row

__all__ = ["Test", "all_of"]

Test = Callable[[Mapping[str, Any]], bool]


def all_of(type_: str, criteria: Iterable[Criterion], indexer: Indexer | None = None) -> Test:
    """Whether a resource of the type passes all of these. Raises Refused for what cannot be asked of one resource."""
    index = indexer or default_indexer()
    asked = Asked(index, index.plan(type_), NoTerms())
    tests = [_own(type_, criterion) or _condition(asked, criterion) for criterion in criteria]
    return lambda resource: all(test(resource) for test in tests)


def _own(type_: str, criterion: Criterion) -> Test | None:
    """`_id`, and `patient` of a Patient: the resource's own id."""
    if criterion.code != "_id" and not (type_ == "Patient" and criterion.code == "patient"):
        return None
    if criterion.modifier or criterion.chain:
        raise _unsupported(criterion)
    ids = frozenset(value.removeprefix("Patient/") for value in criterion.values)
    return lambda resource: resource.get("id") in ids


def _condition(asked: Asked, criterion: Criterion) -> Test:
    if criterion.chain or criterion.code.startswith("_") or not is_known(asked, criterion.code):
        raise _unsupported(criterion)
    condition: Condition = compile_criterion(asked, criterion)
    if condition.batch is not None:
        raise _unsupported(criterion)
    row, content = condition.test, condition.content

    def test(resource: Mapping[str, Any]) -> bool:
        return (row is None or row(_row(asked, resource))) and (content is None or content(resource))

    return test


def _row(asked: Asked, resource: Mapping[str, Any]) -> Row:
    """The resource as the index would hold it."""
    e = asked.indexer.entries(asked.plan.type, resource)
    return Row(0, e.t, 0, e.updated_key, e.keys, e.spans, e.amounts, e.texts)


def _unsupported(criterion: Criterion) -> Refused:
    text = f"订阅的筛选条件 {criterion.name} 不能用: 只能用该资源自己的检索参数, 不能用链式、_has 或未知的参数"
    return Refused(Finding("unsupported-filter", "refuse", text, source=criterion.name))
