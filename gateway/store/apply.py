"""What one record does to the store (design/records.md, "The second time"): repeat, correction, older version, hold, refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.errors import Finding, worst
from gateway.identity.link import Claim
from gateway.record import Draft, PersonClaim, RecordOutcome
from gateway.store.api.spoken import adopt, give_way, overwritten
from gateway.store.compose import overlay
from gateway.store.composer import Composer, stored
from gateway.store.residents import Residents
from gateway.store.states import Body, ContributionState, RecordState, ResourceState, Version
from gateway.store.unit import Unit
from gateway.store.withheld import released, withhold
from gateway.store.work import Item

__all__ = ["Applier"]

STATUS = {"Task": "status", "ServiceRequest": "status"}
_SIDES = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Applier:
    """Applies the records of one piece of work, one after the other, to the working set."""

    def __init__(self, unit: Unit, residents: Residents, composer: Composer) -> None:
        self.unit = unit
        self.residents = residents
        self.composer = composer

    def load(self, items: Sequence[Item]) -> None:
        """Reads in sets everything that these records touch."""
        self.unit.load(items)
        claims: dict[int, PersonClaim] = {}
        for item in items:
            for claim in item.result.claims:
                claims[id(claim)] = claim
            for draft in item.result.drafts:
                if draft.person is not None:
                    claims[id(draft.person)] = draft.person
        self.residents.load(claims.values(), {r.person for r in self.unit.records.values() if r.person is not None})

    def apply(self, item: Item, *, source: str, custodian: str, message: int, actor: str = "") -> RecordOutcome:
        """Applies one record and says what became of it."""
        record = self.unit.record(item)
        before = record.version(item.record.stamp, item.record.digest)
        if before is not None and (before.message, before.row) != (message, item.row):
            self.unit.repeated_rows.append((message, item.row, before.id, item.record.position))
        if before is not None and item.result.withheld:
            self._let_pass(item, record, before)
        if before is not None and not self._anew(before, record, item):
            return self._repeat(before, record, item)
        version = before or self._version(record, item, message)
        findings = [*(f for f in item.record.findings if f not in item.result.findings), *item.result.findings]
        holds = self._doubts(record, item)
        gravest = worst([*findings, *holds])
        if gravest in ("hold", "refuse") and not (item.released and not any(h.code in _NEVER for h in holds)):
            told = {f.code for f in findings}  # the map says it with its source column
            findings += [h for h in holds if h.code not in told]
            return self._set_aside(item, record, version, findings, gravest, source, message, actor, fresh=before is None)
        return self._accept(item, record, version, findings, source, custodian, message, actor, fresh=before is None)

    # -- which of the ways -------------------------------------------------------------------------------------------------------

    def _anew(self, before: Version, record: RecordState, item: Item) -> bool:
        """Whether content seen before is written again: a released hold, a replay or re-map, or a map that changed since."""
        if item.released:
            return True
        if before.state in ("held", "refused"):
            return item.again or before.map_version != item.map_version
        return before.id == record.current and (item.again or before.map_version != item.map_version)

    def _let_pass(self, item: Item, record: RecordState, before: Version) -> None:
        """Single results of this version that a person let pass, now or before, are mapped as written."""
        parts = item.parts | released(self.unit, record, before)
        if parts and item.anew is not None:
            item.result = item.anew(parts)
            item.record.findings = ()  # the result has them
            self.load([item])

    def _repeat(self, before: Version, record: RecordState, item: Item) -> RecordOutcome:
        outcome = RecordOutcome(item.record.position, record.dataset, item.record.key, "repeat", record=record.id)
        rows = self.unit.raw.rows("SELECT code, severity, text, target, locator, line FROM finding WHERE version = ? ORDER BY id", [before.id])
        outcome.findings = tuple(Finding(*r) for r in rows) or tuple(
            Finding(f[4], f[5], f[6], f[7], f[8], f[9]) for f in self.unit.findings if f[3] == before.id
        )
        return outcome

    def _version(self, record: RecordState, item: Item, message: int) -> Version:
        id_ = self.unit.raw.number()
        r = item.record
        rank = f"{r.stamp}|{r.digest}" if r.stamp else f"0|{id_:020d}"
        record.versions += 1
        record.dirty = True
        version = Version(id_, record.versions, message, r.stamp, r.digest, rank, "", item.map_version, 0, item.row)
        record.known.append(version)
        return version

    def _doubts(self, record: RecordState, item: Item) -> list[Finding]:
        """Reasons to hold that only the store can see: no number, another person, a workflow that a table governs."""
        doubts: list[Finding] = []
        claims = item.result.claims
        if any(not c.numbers for c in claims):
            doubts.append(
                Finding("no-person-number", "hold", "记录没有任何可用的人员编号(身份证号、健康档案编号或本机构编号), 无法归到居民; 请补上编号后重发")
            )
        other = self.residents.differs(record.person, claims)
        if other is not None:
            text = "同一业务键此前属于另一位居民(编号不同或姓名、出生日期、性别矛盾), 本次未写入; 请核对是否编号重用或串号, 再放行或驳回"
            key = "/".join(part for part in item.record.key if part)
            doubts.append(Finding("person-changed", "hold", text, source=f"业务键 {key}"))
        if not item.released:
            doubts += self._workflow(record, item)
            doubts += overwritten(self.unit, record, item)
        return doubts

    def _workflow(self, record: RecordState, item: Item) -> list[Finding]:
        """A governed Task or request keeps the workflow status that it got when it was made; a version, or another record, that would change it
        is held."""
        if item.record.stamp and f"{item.record.stamp}|{item.record.digest}" < record.rank:
            return []  # an older version changes nothing
        doubts = []
        drafts = {(d.type, d.id): d for d in item.result.drafts if d.type in STATUS}
        for draft in drafts.values():
            state = self.unit.by_name.get((draft.type, draft.id))
            if state is not None and draft.compose != "one" and self._set_by_others(record, state):
                doubts += self._governed(state.type, state.plain(), draft.body.get(STATUS[state.type]))
        for c in record.contributions.values():
            state = self.unit.resources[c.resource]
            if state.type not in STATUS or not c.present or c.record != record.id:
                continue
            known = drafts.get((state.type, state.id))
            if known is not None or item.mode == "snapshot":
                now = known.body.get(STATUS[state.type]) if known is not None else "entered-in-error"
                doubts += self._governed(state.type, self.composer.body_of(c), now)
        return doubts

    def _set_by_others(self, record: RecordState, state: ResourceState) -> bool:
        """Whether a resource stands of which this record said nothing yet."""
        return bool(state.version) and not state.deleted and not any(c.record == record.id for c in state.contributions.values())

    def _governed(self, type_: str, body: Body, now: str | None) -> list[Finding]:
        """The hold of a record that says another status than `body` where a transition table governs."""
        element = STATUS[type_]
        if now == body.get(element) or not self.unit.rules.governs(type_, body):
            return []
        text = f"转诊流程状态由流转表管理: 记录要把 {type_}.{element} 从 {body.get(element)} 改为 {now}, 未写入; 请在转诊流程中操作, 或放行"
        return [Finding("workflow-status", "hold", text, f"{type_}.{element}")]

    # -- held and refused --------------------------------------------------------------------------------------------------------

    def _set_aside(self, item: Item, record: RecordState, version: Version, findings: list[Finding], gravest: str, source: str, message: int,
                   actor: str, *, fresh: bool) -> RecordOutcome:  # fmt: skip
        """Keeps a record that is not written: with a hold a person decides, a refused one is only kept."""
        state = "held" if gravest == "hold" else "refused"
        if not fresh and version.state not in ("held", "refused"):
            state = version.state  # what stands was accepted by an earlier map; the hold is opened beside it
        seq = self.unit.raw.sequence()
        self._close(item, record, version, source, message, seq, state, findings, fresh=fresh)
        if gravest == "hold":
            first = next(f for f in findings if f.severity == "hold")
            self._open_hold(record, version, first, findings)
        self.unit.event(state, seq=seq, source=source, message=message, record=record.id, version=version.id, actor=actor)
        shown = "held" if gravest == "hold" else "refused"
        return RecordOutcome(item.record.position, record.dataset, item.record.key, shown, tuple(findings), record=record.id)

    def _open_hold(self, record: RecordState, version: Version, first: Finding, findings: Sequence[Finding]) -> None:
        sides = {
            "stands": {"version": record.current, "resources": sorted({self.unit.resources[c.resource].type + "/" + self.unit.resources[c.resource].id
                                                                        for c in record.contributions.values()})},
            "came": {"version": version.id, "findings": [f.as_dict() for f in findings]},
        }  # fmt: skip
        self.unit.raw.run("DELETE FROM hold WHERE version = ? AND state = 'open' AND part = ''", [version.id])
        self.unit.holds.append((self.unit.raw.number(), version.id, record.id, first.code, "open", _SIDES.encode(sides), self.unit.now, ""))

    # -- accepted ----------------------------------------------------------------------------------------------------------------

    def _accept(self, item: Item, record: RecordState, version: Version, findings: list[Finding], source: str, custodian: str, message: int,
                actor: str, *, fresh: bool) -> RecordOutcome:  # fmt: skip
        unit = self.unit
        seq = unit.raw.sequence()
        wrote: list[ResourceState] = []
        if item.result.destination == "quality_control":
            record.current, record.rank, record.dirty = version.id, version.rank, True  # so that the same measurement again is a repeat
            if fresh:
                fields = _SIDES.encode(item.record.fields)
                unit.quality_control.append((unit.raw.number(), version.id, source, message, unit.now, fields))
        else:
            sources, doubts = self._resolve(item)
            findings = [*findings, *doubts]
            if item.released:
                give_way(self.unit, record, item)
            newest = version.rank >= record.rank
            if newest:
                record.current, record.rank = version.id, version.rank
                record.person = next(iter(sources.values()), record.person)
                record.dirty = True
            moved = self.composer.carry()
            touched, remarks = self._contribute(item, record, version, sources, newest=newest)
            findings += remarks
            if newest:
                withhold(self.unit, item.result.withheld, record, version)
            wrote = self.composer.write_all([*touched, *moved], seq=seq, record=record.id, custodian=custodian)
            state = "older" if not newest else "written" if wrote else "unchanged"
        if item.result.destination:
            state = "written"
        self._close(item, record, version, source, message, seq, state, findings, fresh=fresh)
        unit.event(state, seq=seq, source=source, message=message, record=record.id, version=version.id, actor=actor, wrote=wrote)
        resources = tuple((s.type, s.id, s.version) for s in wrote)
        return RecordOutcome(item.record.position, record.dataset, item.record.key, state, tuple(findings), resources, record.id)

    def _close(self, item: Item, record: RecordState, version: Version, source: str, message: int, seq: int, state: str,
               findings: Iterable[Finding], *, fresh: bool) -> None:  # fmt: skip
        """Writes down the version's state and findings."""
        unit, r = self.unit, item.record
        version.state, version.map_version, version.seq = state, item.map_version, seq
        if fresh:
            v = version
            unit.versions.append(
                (v.id, record.id, v.number, message, source, item.row, r.position, v.stamp, v.digest, v.rank, state, item.map_version, seq)
            )
        else:
            unit.holds = [h for h in unit.holds if h[1] != version.id or h[7]]
            unit.raw.run("DELETE FROM finding WHERE version = ?", [version.id])
            unit.findings = [f for f in unit.findings if f[3] != version.id]
            unit.raw.run("UPDATE hold SET state = 'resolved', decided = ? WHERE version = ? AND state = 'open' AND part = ''", [unit.now, version.id])
            unit.version_updates.append((state, item.map_version, seq, version.id))
        for f in findings:
            unit.note(f, source=source, message=message, version=version.id)

    def _resolve(self, item: Item) -> tuple[dict[int, int], list[Finding]]:
        """id(claim) -> source patient, references written; and what was doubtful."""
        sources: dict[int, int] = {}
        findings = []
        claims = list(item.result.claims)
        claims += [d.person for d in item.result.drafts if d.person is not None]
        claims += [c for d in item.result.drafts for _, c in d.patients]
        for claim in claims:
            if id(claim) in sources:
                continue
            sources[id(claim)], doubts = self.residents.resolve(claim)
            findings += [contradiction(pair) for pair in doubts]
        return sources, findings

    def _contribute(self, item: Item, record: RecordState, version: Version, sources: dict[int, int], *, newest: bool
                    ) -> tuple[list[int], list[Finding]]:  # fmt: skip
        """Puts down what the record says now; the resources (row numbers) to compose, and remarks on shared ones."""
        touched: dict[int, None] = {}
        findings: list[Finding] = []
        part = version.rank if item.mode == "delta" else ""
        said: set[tuple[int, int, str]] = set()
        for draft, rid, person in self._targets(item, sources):
            key = (rid, person, part)
            old = record.contributions.get(key)
            if item.mode != "delta" and not newest and (person or (old is not None and (old.present or old.rank >= version.rank))):
                continue
            if key in said and old is not None:
                draft = _joined(draft, old)
            said.add(key)
            state = self.unit.resources[rid]
            if state.version and not state.contributions and draft.compose == "merge":
                adopt(self.unit, self.composer, state)
            others = [c for c in state.contributions.values() if c.record != record.id]
            if others and draft.compose == "one" and any(c.compose == "one" for c in others):
                findings.append(claimed(state, others[0]))
            self._put(draft, state, person, part, record, version, sources, present=newest or item.mode == "delta", shared=bool(others))
            touched[rid] = None
            if draft.was and newest:
                touched |= dict.fromkeys(self._renamed(draft, record, rid, part))
        if newest:
            touched |= dict.fromkeys(self._vanished(record, said, part, item.mode))
        return list(touched), findings

    def _targets(self, item: Item, sources: dict[int, int]) -> Iterable[tuple[Draft, int, int]]:
        """Each draft with its resource (row number) and, for a Patient, the source patient."""
        for draft in item.result.drafts:
            if draft.person is not None:
                person = sources[id(draft.person)]
                patient = self.residents.claims[person].patient
                assert patient is not None
                yield draft, patient, person
            else:
                yield draft, self.unit.resource(draft.type, draft.id).rid, 0

    def _put(self, draft: Draft, state: ResourceState, person: int, part: str, record: RecordState, version: Version, sources: dict[int, int],
             *, present: bool, shared: bool) -> None:  # fmt: skip
        old = record.contributions.get((state.rid, person, part))
        sole = not shared and draft.compose == "one" and not part and not person
        if not sole:
            self.composer.keep(state)
        patients = tuple((path, sources[id(claim)]) for path, claim in draft.patients)
        c = ContributionState(state.rid, record.id, person, part, version.rank, draft.compose, draft.by, present, None if sole and present else
                              stored(draft.body), patients, draft.clear, record.authority, record.key, body=draft.body)  # fmt: skip
        if not state.whole:
            self._uncover(c, record)
        if old is not None:
            self._unlink(old, patients)
            c.fresh, c.dirty, c.was = old.fresh, True, old.was
        self.unit.add_contribution(c, record)

    def _uncover(self, c: ContributionState, record: RecordState) -> None:
        """A record that says something else of a shared resource than before no longer covers what others say."""
        said = (c.compose, c.by, c.present, c.content, c.patients)
        own = (o for o in record.contributions.values() if o.resource == c.resource)
        if c.cleared or any((o.compose, o.by, o.present, o.content, o.patients) != said for o in own):
            self.unit.load_covered(c.resource)

    def _unlink(self, old: ContributionState, patients: tuple[tuple[str, int], ...]) -> None:
        for path, source in old.patients:
            if (path, source) not in patients:
                row = (source, old.resource, old.record, path)
                self.unit.links.discard(row)
                self.unit.gone_links.append(row)

    def _renamed(self, draft: Draft, record: RecordState, rid: int, part: str) -> list[int]:
        """The resource had another key before (`was key(...)`): this record's contributions to it end, what earlier versions of a delta
        record said goes with the new one. Gives the resources that ended."""
        ended = []
        for id_ in draft.was:
            old = self.unit.by_name.get((draft.type, id_))
            if old is None or old.rid == rid:
                continue
            self.composer.keep(old)
            for key, c in list(record.contributions.items()):
                if key[0] != old.rid or not c.present:
                    continue
                if c.part != part and (rid, c.person, c.part) not in record.contributions:
                    self.unit.add_contribution(replace(c, resource=rid, fresh=True, dirty=False, body=None), record)
                c.present, c.dirty = False, True
                ended.append(old.rid)
        return ended

    def _vanished(self, record: RecordState, said: set[tuple[int, int, str]], part: str, mode: str) -> list[int]:
        """What an earlier version said and this one does not. Delta records take nothing back but what the same version, mapped anew, lost."""
        gone = []
        for key, c in list(record.contributions.items()):
            if key in said or not c.present or (mode == "delta" and c.part != part):
                continue
            gone.append(c.resource)
            self.unit.load_covered(c.resource)
            if c.person or (mode == "delta" and any(k[0] == c.resource and k[2] != part for k in record.contributions)):
                self.unit.drop_contribution(c, record)
            else:
                c.present, c.dirty = False, True
        return gone


_NEVER = frozenset({"no-person-number"})
"""Holds that cannot be released: without a number there is no resident to write to."""


def _joined(draft: Draft, before: ContributionState) -> Draft:
    """Two blocks of one record that speak of the same resource, as one."""
    body = overlay(before.body, draft.body) if before.body is not None else draft.body
    return Draft(draft.type, draft.block, draft.id, body, draft.compose, draft.by, draft.person, draft.patients, draft.partial, draft.clear)


def contradiction(pair: tuple[Claim, Claim]) -> Finding:
    """Two claims with one strong number that cannot be one person's."""
    number = next(iter(sorted(pair[0].strong & pair[1].strong)))[0]
    text = (
        f"同一证件编号({number})对应的姓名与出生日期或性别互相矛盾, 两份居民档案未合并; 请核对是否借用他人证件, 必要时用 `yifang residents link` 合并"
    )
    return Finding("contradicting-person", "note", text, "Patient.identifier")


def claimed(state: ResourceState, other: ContributionState) -> Finding:
    """A resource of one record is claimed by another record."""
    text = f"{state.type} 已由另一条记录写入(数据集键不同而业务键相同), 以时间最早者为准; 请核对业务键是否重复, 或在映射中写明 merge / latest by"
    return Finding("claimed-by-another", "note", text, state.type)
