"""One message or document from bytes to FHIR JSON bytes: ours against hand-written code, and against parsing alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lxml import etree

from adapters.cda import adapter as cda
from adapters.hl7v2 import adapter as hl7v2
from gateway.builtin import MAPPINGS
from gateway.collector import settle
from gateway.config import SourceConfig
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.fhir.json import encode
from gateway.fhir.ucum import builtin_units
from gateway.mapping.catalogue import Binding, Catalogue
from gateway.mapping.compile import MapContext
from gateway.mapping.files import MapFiles
from tests.bench.by_hand import ByHand, read_table
from tests.bench.measure import Figure, against, alternate
from tests.bench.messages import ITEMS, oru

AUTHORITY, ORGANISATION = "https://lis.bench.test", "H39010000001"
CONTEXT = MapContext(IdScheme(TEST_KEY, "https://yifang.invalid/fhir"))
MESSAGES = 60  # a round


def binding(profile: str) -> Binding:
    """A source with one built-in profile."""
    adapters = {a.name: a for a in (cda, hl7v2)}
    catalogue = Catalogue(MapFiles.from_folders([MAPPINGS]), adapters)
    found = catalogue.entry(profile.partition("/")[0]).profiles[profile.partition("/")[2]]
    return catalogue.bind(SourceConfig(name="bench", adapter=found.adapter, profiles=[profile], authority=AUTHORITY, organisation=ORGANISATION))


def mapped(bound: Binding, content: bytes) -> Iterator[bytes]:
    """FHIR JSON of every resource that a message makes; a Patient has no id before the store gives it one."""
    for row in bound.extract(content):
        for draft in bound.map(bound.record(row), CONTEXT).drafts:
            yield encode({"resourceType": draft.type, "id": draft.id, **draft.body} if draft.id else draft.body)


def by_hand() -> ByHand:
    """The hand-written way, with the national table of laboratory items."""
    ucum = {unit: builtin_units().code(unit) or unit for _, _, _, unit, _ in ITEMS}
    return ByHand(CONTEXT.ids, AUTHORITY, ORGANISATION, ucum, read_table(MAPPINGS / "tables" / "v2-lab-items.csv"))


def message(rounds: int) -> Figure:
    """ORU^R01 with 20 OBX against hand-written split, dicts and orjson."""
    bound, hand = binding("hl7v2_oru/standard"), by_hand()
    settle()  # as `yifang serve` does
    inputs = [[oru(n * MESSAGES + i) for i in range(MESSAGES)] for n in range(rounds + 1)]
    ours, reference = alternate(
        lambda n: _each_alone(inputs[n], lambda m: list(mapped(bound, m))),
        lambda n: _each_alone(inputs[n], hand.encode),
        rounds,
    )
    return against("ORU of 20 OBX, bytes to FHIR JSON", "µs", _each(ours), _each(reference), "at most", 3, "reference: hand-written for this message")


def document(rounds: int) -> Figure:
    """WS/T 500 laboratory report of about 48 kB against parsing it with lxml."""
    bound = binding("cda_c0007/wst500")
    original = (MAPPINGS / "clinical" / "cda_c0007" / "examples" / "ordinary.xml").read_bytes()
    settle()
    inputs = [[another(original, n * MESSAGES + i) for i in range(MESSAGES)] for n in range(rounds + 1)]
    ours, reference = alternate(
        lambda n: _each_alone(inputs[n], lambda m: list(mapped(bound, m))),
        lambda n: _each_alone(inputs[n], etree.fromstring),
        rounds,
    )
    size = f"{len(original) / 1000:.0f} kB; reference: lxml parse alone"
    return against("WS/T 500 C0007 document, bytes to FHIR JSON", "µs", _each(ours), _each(reference), "at most", 4, size)


def another(document: bytes, n: int) -> bytes:
    """The document with other laboratory values: digits behind a decimal point in `value=` change with n."""

    def value(found: re.Match[bytes]) -> bytes:
        return found[1] + str((int(found[2]) + n) % 10).encode() + found[3]

    return re.sub(rb'(\bvalue="\d+\.\d*)(\d)(")', value, document)


def _each_alone(messages: Sequence[bytes], work: Callable[[bytes], object]) -> None:
    """One after the other, keeping nothing, as a gateway does: sixty trees that stand at once and then go make the allocator give memory back and
    ask for it again, at the cost of whoever comes next."""
    for message in messages:
        work(message)


def _each(seconds: list[float]) -> list[float]:
    return [s / MESSAGES * 1e6 for s in seconds]


BENCHES: dict[str, Callable[[int], Figure]] = {"message": message, "document": document}
