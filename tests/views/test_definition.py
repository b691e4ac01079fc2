"""A ViewDefinition that cannot be used is refused with every fault, each with its element."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.views.definition import DEEPEST, ViewError
from gateway.views.view import compile_view

ID = {"name": "id", "path": "id"}


def faults(**changed: Any) -> dict[str, str]:
    """Sentences by element, of a view of Patients that is changed so."""
    with pytest.raises(ViewError) as e:
        compile_view({"resource": "Patient", "select": [{"column": [ID]}]} | changed)
    return {f.target.removeprefix("ViewDefinition."): f.message for f in e.value.findings}


@pytest.mark.parametrize(
    ("changed", "place", "says"),
    [
        ({"resourceType": "Patient"}, "ViewDefinition", "ViewDefinition"),
        ({"resource": "Person2"}, "resource", "类型名"),
        ({"resource": "DomainResource"}, "resource", "类型名"),
        ({"fhirVersion": ["5.0.0"]}, "fhirVersion", "R4"),
        ({"name": "居民"}, "name", "字母"),
        ({"wheres": []}, "wheres", "拼写"),
        ({"where": {"path": "active"}}, "where", "列表"),
        ({"where": [{}]}, "where[0].path", "缺少"),
        ({"where": [{"path": "active and"}]}, "where[0].path", "FHIRPath"),
        ({"select": []}, "select", "至少"),
        ({"select": ["id"]}, "select[0]", "对象"),
        ({"select": [{}]}, "select[0]", "不产生任何列"),
        ({"select": [{"foreach": "name", "column": [ID]}]}, "select[0].foreach", "拼写"),
        ({"select": [{"forEach": " ", "column": [ID]}]}, "select[0].forEach", "不空"),
        ({"select": [{"forEach": "name", "forEachOrNull": "name", "column": [ID]}]}, "select[0]", "只能写一个"),
        ({"select": [{"column": [{"name": "a b", "path": "id"}]}]}, "select[0].column[0].name", "字母"),
        ({"select": [{"column": [{"name": "a"}]}]}, "select[0].column[0].path", "缺少"),
        ({"select": [{"column": [ID | {"collection": "yes"}]}]}, "select[0].column[0].collection", "true"),
        ({"select": [{"column": [ID | {"type": 1}]}]}, "select[0].column[0].type", "类型"),
        ({"select": [{"column": [ID, {"name": "ID", "path": "active"}]}]}, "select[0].column[1].name", "两次"),
        ({"select": [{"column": [{"name": "a", "path": "id.frobnicate()"}]}]}, "select[0].column[0].path", "frobnicate"),
        ({"select": [{"repeat": ["name", "link..other"], "column": [ID]}]}, "select[0].repeat[1]", "FHIRPath"),
        (
            {"select": [{"column": [ID | {"tag": [{"name": "ansi/type", "value": "INT); DROP"}]}]}]},
            "select[0].column[0].tag[0].value",
            "SQL 类型",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_fault_names_its_element(changed: dict[str, Any], place: str, says: str) -> None:
    found = faults(**changed)
    assert says in found[place]


def test_all_faults_are_told_at_once() -> None:
    found = faults(resource="Nobody", where=[{}], select=[{"column": [{"name": "1", "path": "id"}]}])
    assert set(found) == {"resource", "where[0].path", "select[0].column[0].name"}


def test_what_is_no_object_is_refused() -> None:
    for body in (None, [], "ViewDefinition", 1):
        with pytest.raises(ViewError):
            compile_view(body)


def test_selects_in_selects_have_an_end() -> None:
    deep: dict[str, Any] = {"column": [ID]}
    for _ in range(DEEPEST):
        deep = {"select": [deep]}
    with pytest.raises(ViewError, match="太深"):
        compile_view({"resource": "Patient", "select": [deep]})
    assert compile_view({"resource": "Patient", "select": deep["select"]}).rows({"resourceType": "Patient", "id": "a"}) == [("a",)]


def test_a_fault_of_the_data_names_the_resource() -> None:
    view = compile_view({"resource": "Patient", "select": [{"column": [{"name": "g", "path": "name.given"}]}]})
    with pytest.raises(ViewError, match=r"select\[0\]\.column\[0\]: 列 g 在 Patient/p 有 2 个值"):
        view.rows({"resourceType": "Patient", "id": "p", "name": [{"given": ["a", "b"]}]})


def test_an_expression_that_cannot_be_evaluated_is_a_fault_of_the_view() -> None:
    view = compile_view({"resource": "Patient", "select": [{"column": [{"name": "g", "path": "name.given.length()"}]}]})
    with pytest.raises(ViewError, match="Patient/p 上不能求值"):
        view.rows({"resourceType": "Patient", "id": "p", "name": [{"given": ["a", "b"]}]})
