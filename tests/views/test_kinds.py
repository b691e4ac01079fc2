"""What a view gives is told from R4's definitions: types of columns, elements that R4 does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.builtin import PROFILES
from gateway.views.catalogue import read_view
from gateway.views.table import sql_type
from gateway.views.view import View, compile_view


def view(resource: str, *paths: str, **select: object) -> View:
    """A view with a column for each path."""
    columns = [{"name": f"c{n}", "path": path} for n, path in enumerate(paths)]
    return compile_view({"resource": resource, "select": [{"column": columns} | select]})


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("birthDate", "date"),
        ("active", "boolean"),
        ("name.given.first()", "string"),
        ("name.where(use = 'official').period.start", "dateTime"),
        ("multipleBirth.ofType(integer)", "integer"),
        ("multipleBirth as boolean", "boolean"),
        ("(name.family | name.given).first()", "string"),
        ("name.count()", "integer"),
        ("name.exists() and active", "boolean"),
        ("'a' & id", "string"),
        ("iif(active, gender, gender)", "code"),
        ("extension('http://x.example/a').value.ofType(decimal)", "decimal"),
        ("birthDate.extension.url.first()", "uri"),
        ("Patient.name[0].text", "string"),
        ("link.other.getReferenceKey(Patient)", "string"),
        ("%rowIndex", "integer"),
        ("%resource.id", "id"),
        ("deceased", ""),
        ("name", ""),
        ("contained.id", ""),
    ],
)
def test_a_column_without_a_type_has_that_of_r4(path: str, type_: str) -> None:
    made = view("Patient", path)
    assert (made.columns[0].type, made.remarks) == (type_, ())


@pytest.mark.parametrize(
    ("resource", "path", "says"),
    [
        ("Patient", "nmae.text", "R4 的 Patient 没有元素 nmae"),
        ("Patient", "name.where(usage = 'official').text", "HumanName 没有元素 usage"),
        ("Patient", "birthDate.value", "date 没有元素 value"),
        ("Observation", "valueQuantity.value", "应写 value.ofType(Quantity)"),
        ("Observation", "value.ofType(Quantty)", "没有类型 Quantty"),
        ("Observation", "component.value.ofType(Quantity).number", "Quantity 没有元素 number"),
    ],
)
def test_what_r4_does_not_have_is_remarked(resource: str, path: str, says: str) -> None:
    made = view(resource, path)
    (remark,) = made.remarks
    assert says in remark.message and remark.target == "ViewDefinition.select[0].column[0].path"
    assert made.rows({"resourceType": resource, "id": "a"}) == [(None,)]


def test_an_iteration_gives_the_focus() -> None:
    assert view("Patient", "value", forEach="telecom").columns[0].type == "string"
    assert view("Patient", "valu", forEach="telecom").remarks
    deep = view("QuestionnaireResponse", "linkId", "value.ofType(string)", repeat=["item", "answer.item"])
    assert deep.columns[0].type == "string"
    assert [r.message for r in deep.remarks] == ["R4 的 QuestionnaireResponse.item 没有元素 value, 总是空"]
    assert [r.target for r in view("QuestionnaireResponse", "linkId", repeat=["itm"]).remarks] == ["ViewDefinition.select[0].repeat"]


@pytest.mark.parametrize(
    ("column", "sql"),
    [
        ({"path": "active"}, "BOOLEAN"),
        ({"path": "birthDate"}, "VARCHAR"),
        ({"path": "name.count()"}, "INTEGER"),
        ({"path": "name.given", "collection": True}, "VARCHAR[]"),
        ({"path": "name.first()", "type": "HumanName"}, "JSON"),
        ({"path": "name.count()", "type": "decimal"}, "DOUBLE"),
        ({"path": "id", "type": "System.Integer"}, "INTEGER"),
        ({"path": "birthDate", "tag": [{"name": "ansi/type", "value": "DECIMAL(18, 4)"}]}, "DECIMAL(18, 4)"),
    ],
)
def test_the_sql_type_of_a_column(column: dict[str, object], sql: str) -> None:
    made = compile_view({"resource": "Patient", "select": [{"column": [{"name": "c"} | column]}]})
    assert sql_type(made.columns[0]) == sql


@pytest.mark.parametrize("file", sorted((PROFILES / "views").glob("*.json")), ids=lambda f: f.stem)
def test_the_views_of_the_product_name_elements_of_r4_and_declare_every_type(file: Path) -> None:
    made = read_view(file)
    assert (made.name, made.remarks) == (file.stem, ())
    assert all(c.type for c in made.columns) and made.title
