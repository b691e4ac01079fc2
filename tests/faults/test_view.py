"""A front-end database whose view changed: a remark and retries, never a crash; nothing lost when it is mended."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import select

from gateway.store import tables as t
from tests.faults import samples
from tests.faults.cases import CASES, Case, told
from tests.faults.samples import Resident
from tests.faults.town import PERSON_VIEW, Town, until

pytestmark = pytest.mark.slow

PROFILE = "public_health/resident_profile/sources/vendor_b_view.toml"


def remarks(town: Town) -> list[Mapping[str, str]]:
    """Findings of the source itself, newest first."""
    f = t.finding
    query = select(f.c.code, f.c.severity, f.c.text.label("message"), f.c.locator.label("source")).where(
        f.c.source == "front", f.c.message.is_(None), f.c.version.is_(None)
    )
    with town.site.database.engine.connect() as connection:
        return [{k: str(v) for k, v in row._mapping.items()} for row in connection.execute(query.order_by(f.c.id.desc()))]


def remarked(town: Town, case: Case) -> None:
    """The source's finding, and that `yifang doctor` shows it."""
    until(lambda: any(f["code"] == case.code for f in remarks(town)))
    told(case, remarks(town))
    assert any(case.says in text and case.next in text for text in town.remarks("front"))


def written(town: Town, who: Resident) -> bool:
    """Whether the resident's Patient can be found."""
    return "entry" in town.fhir(f"Patient?identifier={who.archive}")


def arrives(town: Town) -> Resident:
    """A new row of the view."""
    who = samples.resident()
    town.front.insert(**samples.person_row(who))
    return who


def test_a_lost_column_stops_nothing_else_and_loses_nothing(town: Town) -> None:
    first = arrives(town)
    until(lambda: written(town, first))
    checkpoint = town.site.gateway.checkpoint("front")
    town.front.view(without="birthday")
    second = arrives(town)
    with town.nothing_written():
        remarked(town, CASES["lost-column"])
        assert not written(town, second)
    assert town.site.gateway.checkpoint("front") == checkpoint
    assert town.post("village-post", samples.reading(samples.resident())).status_code == 200
    assert not town.service.reasons()  # the gateway itself is well
    town.front.view()
    until(lambda: written(town, second))


def test_a_view_that_is_gone_is_told_and_read_on_when_it_is_back(town: Town) -> None:
    town.front.drop()
    remarked(town, CASES["lost-view"])
    who = arrives(town)
    town.front.view()
    until(lambda: written(town, who))


def test_a_renamed_column_is_read_as_soon_as_the_profile_is_mended(town: Town) -> None:
    town.front.view(rename={"birthday": "birth_day"})
    who = arrives(town)
    until(lambda: any("birthday" in f["message"] for f in remarks(town)[:1]))
    town.edit(PROFILE, lambda text: text.replace('"出生日期" = "birthday"', '"出生日期" = "birth_day"'))
    town.accept("resident_profile")
    assert town.command("map.activate")["state"] == "active"
    until(lambda: written(town, who))
    patient = town.fhir(f"Patient?identifier={who.archive}")["entry"][0]["resource"]
    assert patient["birthDate"] == who.born


def test_a_row_that_is_wrong_is_held_and_its_batch_goes_on(town: Town) -> None:
    bad, good = samples.resident(), samples.resident()
    with town.front.engine.begin() as connection:
        for row in (samples.person_row(bad, sex="7", id_card="123"), samples.person_row(good)):
            town.front.insert_into(connection, row)
    until(lambda: written(town, good))
    records = town.show(town.kept("front").id)["records"]
    assert [r["position"] for r in records] == [f"{PERSON_VIEW}!第1行", f"{PERSON_VIEW}!第2行"]
    codes = {f["code"]: f for f in records[0]["findings"]}
    assert codes["unknown-code"]["source"] == "sex"
    assert records[1]["state"] == "written"
