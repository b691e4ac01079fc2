"""The reference of the mapping benchmark writes what the map writes: JSON-equal, decimals exact."""

from __future__ import annotations

import re

from gateway.builtin import MAPPINGS
from gateway.fhir.json import decode
from tests.bench import mapping
from tests.bench.messages import oru


def test_hand_written_and_mapped_output_are_equal() -> None:
    bound, hand = mapping.binding("hl7v2_oru/standard"), mapping.by_hand()
    for n in (0, 7, 4711):
        ours = [decode(r) for r in mapping.mapped(bound, oru(n))]
        theirs = [decode(r) for r in hand.encode(oru(n))]
        assert len(ours) == 23
        assert ours == theirs
        assert [str(r.get("valueQuantity", {}).get("value")) for r in ours] == [str(r.get("valueQuantity", {}).get("value")) for r in theirs]


def test_messages_differ_in_values_and_person() -> None:
    assert len({oru(n) for n in range(200)}) == 200
    values = {re.findall(r"OBX\|1\|NM\|WBC\^[^|]*\|\|([\d.]+)", oru(n).decode())[0] for n in range(200)}
    assert len(values) > 12


def test_documents_differ_and_still_make_the_same_resources() -> None:
    bound = mapping.binding("cda_c0007/wst500")
    original = (MAPPINGS / "clinical" / "cda_c0007" / "examples" / "ordinary.xml").read_bytes()
    first, second = (list(mapping.mapped(bound, mapping.another(original, n))) for n in (0, 3))
    assert len(first) == len(second) > 20
    assert first != second
