"""All built-in maps: they check, and on every example the fast and the explaining build say the same."""

from __future__ import annotations

import copy

import pytest

from gateway.errors import Refused
from gateway.mapping import golden
from tests.maps import built_in

EXAMPLES = [(e.dataset, e.name) for name in built_in().datasets for e in golden.examples(built_in(), built_in().entry(name))]


def test_there_are_examples_of_every_dataset() -> None:
    assert {d for d, _ in EXAMPLES} == set(built_in().datasets)


@pytest.mark.parametrize("name", built_in().datasets)
def test_built_in_map_checks(name: str) -> None:
    assert [str(f) for f in built_in().entry(name).faults] == []


@pytest.mark.parametrize(("dataset", "name"), EXAMPLES)
def test_compiled_and_explained_agree(dataset: str, name: str) -> None:
    example = next(e for e in golden.examples(built_in(), built_in().entry(dataset)) if e.name == name)
    binding = golden.binding_for(built_in(), example)
    try:
        records = list(golden.records(built_in(), example, binding))
    except Refused:
        assert "refuse" in golden.run(built_in(), example).findings
        return
    for record in records:
        again = copy.deepcopy(record)
        result = binding.map(record, golden.CONTEXT)
        explained, lineage = binding.explain(again, golden.CONTEXT)
        assert result == explained
        written = {(d.type, d.id) for d in (*result.drafts, *result.withheld)}
        assert {(one.type, one.id) for one in lineage} == written
        assert all(one.line for one in lineage)


def test_lineage_tells_line_column_raw_value_and_functions() -> None:
    example = next(e for e in golden.examples(built_in(), built_in().entry("hypertension_followup")) if e.name == "controlled_vendor_a")
    binding = golden.binding_for(built_in(), example)
    (record,) = golden.records(built_in(), example, binding)
    _, lineage = binding.explain(record, golden.CONTEXT)
    systolic = next(one for one in lineage if one.origins and one.origins[0].field == "收缩压" and "valueQuantity" in one.path)
    assert systolic.path == "component[0].valueQuantity"
    assert (systolic.origins[0].locator, systolic.origins[0].raw, systolic.functions) == ("收缩压(mmHg)", "136", ("quantity",))
    assert systolic.line.startswith("public_health/hypertension_followup/hypertension_followup.map:")
    coded = next(one for one in lineage if one.origins and one.origins[0].raw != one.origins[0].value)
    assert coded.origins[0].raw is not None


def test_datasets_that_share_resources_compose_them_in_the_same_way() -> None:
    """design/records.md, "Several records, one resource": two maps that write one key cannot both own the resource."""
    said: dict[tuple[str, str], dict[str, str]] = {}
    for name in built_in().datasets:
        plan = built_in().entry(name).plan
        assert plan is not None
        for block in plan.all_blocks:
            if block.key is not None:
                said.setdefault((block.type, block.key.namespace), {})[name] = block.compose
    shared = {key: by for key, by in said.items() if len(by) > 1}
    assert set(shared) > {("Condition", "visit-condition"), ("Encounter", "visit"), ("Practitioner", "staff")}
    assert {key: by for key, by in shared.items() if len(set(by.values())) > 1} == {}
