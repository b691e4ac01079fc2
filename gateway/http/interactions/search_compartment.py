"""Resources of a compartment: `Patient/1/Observation`, or all of them with `Patient/1/*`.

https://hl7.org/fhir/R4/http.html#vsearch
"""

from __future__ import annotations

from gateway.fhir.elements import load
from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.searching import answered, posted
from gateway.store.search import Compartment


@interaction("search-type", "instance", "GET", "T/i/C", lasting=True)
async def search_compartment(call: Call) -> Reply:
    """200 with a searchset; 404 for a type that has no compartment."""
    member = call.path[2]
    members = load().compartment(call.type)
    if not members or (member != "*" and member not in members):
        zh = f"{call.type} 没有包含 {member} 的隔间; 有隔间的是 Patient、Encounter、Practitioner、RelatedPerson、Device"
        raise Problem(404, "not-supported", zh, f"{call.type} has no compartment with {member}")
    return await answered(call, "" if member == "*" else member, Compartment(call.type, call.id))


@interaction("search-type", "instance", "POST", "T/i/C/_search", lasting=True)
async def search_compartment_by_post(call: Call) -> Reply:
    """The same with the criteria in the body."""
    return await search_compartment(posted(call))
