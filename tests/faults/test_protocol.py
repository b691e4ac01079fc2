"""What protocol or container refuses: answered, kept as `refused`, nothing written, and the next message goes on."""

from __future__ import annotations

import orjson
import pytest

from adapters.hl7v2.client import Acknowledgement
from gateway import builtin
from gateway.errors import Conflict
from gateway.store.messages import StoredMessage
from tests.faults import samples
from tests.faults.cases import CASES, Case, told
from tests.faults.town import LIMIT, Town

pytestmark = pytest.mark.slow


def refused(town: Town, case: Case, source: str, content: bytes | None) -> StoredMessage:
    """The newest message of a source, which is refused with the case's finding; `content`: all its bytes, None when a part is kept."""
    kept = town.kept(source)
    assert kept.state == "refused"
    shown = town.show(kept.id)
    told(case, shown["findings"])
    assert shown["records"] == []
    if content is not None:
        assert town.original(kept.id) == content
    return kept


def answered_ar(case: Case, answer: Acknowledgement) -> None:
    """AR with the reason in Chinese, in MSA-3 and in ERR."""
    assert answer.code == "AR"
    plain = answer.text.replace("\\S\\", "^")
    assert plain.startswith(f"{case.code}: ") and case.says in plain and case.next in plain
    (error,) = [line.replace("\\S\\", "^") for line in answer.content.split("\r") if line.startswith("ERR")]
    assert case.code in error and case.next in error


def answered_http(case: Case, content: bytes) -> None:
    """An OperationOutcome whose issue says it in Chinese."""
    outcome = orjson.loads(content)
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert issue["details"]["coding"][0]["code"] == case.code
    assert case.says in issue["details"]["text"] and case.next in issue["details"]["text"]


def still_taken(town: Town, source: str) -> None:
    """The next message of the source is written."""
    who = samples.resident()
    if source in ("lis", "analyser"):
        assert town.mllp(source, samples.oru(who)).code == "AA"
    elif source == "documents":
        town.drop(source, f"next-{who.number}.xml", samples.report(who))
    elif source == "sheets":
        town.drop(source, f"next-{who.number}.xlsx", samples.workbook([samples.follow_up(who)]))
    else:
        assert town.post(source, samples.reading(who)).status_code == 200
    assert town.kept(source).state == "mapped"


DOCTYPE = (
    b'<?xml version="1.0"?>\n<!DOCTYPE ClinicalDocument [<!ENTITY name "x">]>\n<ClinicalDocument xmlns="urn:hl7-org:v3">&name;</ClinicalDocument>'
)
DOCUMENTS = {"not-xml": b"%PDF-1.4 no document", "doctype": DOCTYPE, "unknown-document": samples.visit(samples.resident())}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_refused_from_the_folder_and_by_post(town: Town, name: str) -> None:
    case, content = CASES[name], DOCUMENTS[name]
    with town.nothing_written():
        assert town.drop("documents", f"{name}.xml", content).parent.name == "refused"
        first = refused(town, case, "documents", content)
        again = town.post("documents", content)
        assert again.status_code == 422
        answered_http(case, again.content)
        assert town.kept("documents").id == first.id  # the same bytes again are the same message
    still_taken(town, "documents")


def test_a_body_that_is_not_json(town: Town) -> None:
    case = CASES["not-json"]
    with town.nothing_written():
        answer = town.post("village-post", b"{oops")
        assert answer.status_code == 422
        answered_http(case, answer.content)
        assert refused(town, case, "village-post", b"{oops").id == int(answer.headers["x-message-id"])
    still_taken(town, "village-post")


def test_an_http_body_above_its_setting_is_413_and_its_head_is_never_mapped(town: Town) -> None:
    case = CASES["body-too-large"]
    good = orjson.dumps(samples.reading(samples.resident()))
    content = good + b" " * LIMIT + good
    with town.nothing_written():
        answer = town.post("village-post", content)
        assert answer.status_code == 413
        answered_http(case, answer.content)
        kept = refused(town, case, "village-post", None)
        assert town.original(kept.id) == content[:4096]
        with pytest.raises(Conflict, match="只留存了开头"):
            town.command("messages.replay", message=kept.id)
    still_taken(town, "village-post")


def test_a_frame_above_its_setting_is_ar_and_its_head_is_never_mapped(town: Town) -> None:
    case = CASES["frame-too-large"]
    many = [(f"14749-6^葡萄糖{n}^LN", "5.60", "mmol/L") for n in range(2000)]
    content = samples.oru(samples.resident(), many, control="BIG1")
    assert len(content) > LIMIT
    with town.nothing_written():
        answer = town.mllp("lis", content)
        answered_ar(case, answer)
        assert answer.control_id == "BIG1"
        kept = refused(town, case, "lis", None)
        assert kept.name == "BIG1"
        first, _, head = town.original(kept.id).partition(b"\r\n")
        assert first.startswith(b"size=%d sha256=" % len(content))
        assert content.startswith(head) and head.startswith(b"MSH|")
        with pytest.raises(Conflict, match="只留存了开头"):
            town.command("messages.replay", message=kept.id)
    still_taken(town, "lis")


def test_half_a_frame_is_kept_unanswered_and_the_repetition_is_written(town: Town) -> None:
    case = CASES["half-frame"]
    content = samples.oru(samples.resident(), control="HALF1")
    with town.nothing_written():
        assert town.raw_mllp("lis", b"\x0b" + content[: len(content) // 2]) == b""
        kept = refused(town, case, "lis", None)
        assert town.original(kept.id).partition(b"\r\n")[2] == content[: len(content) // 2]
        with pytest.raises(Conflict, match="只留存了开头"):
            town.command("messages.replay", message=kept.id)
    assert town.mllp("lis", content).code == "AA"
    assert town.kept("lis", content).state == "mapped"


def test_what_came_whole_before_half_a_frame_on_one_connection_is_written(town: Town) -> None:
    first, second = samples.oru(samples.resident(), control="WHOLE1"), samples.oru(samples.resident(), control="HALF2")
    back = town.raw_mllp("lis", b"\x0b" + first + b"\x1c\r" + b"\x0b" + second[:80])
    assert back.count(b"MSA|AA|WHOLE1") == 1 and b"HALF2" not in back
    assert town.kept("lis", first).state == "mapped"
    assert town.kept("lis").state == "refused"


def test_bytes_that_no_charset_reads_are_ar_and_kept_unchanged(town: Town) -> None:
    case = CASES["undecodable"]
    content = samples.oru(samples.resident(), control="BYTES1").replace("生化".encode(), b"\xff\xfe\xff")
    with town.nothing_written():
        answer = town.mllp("lis", content)
        answered_ar(case, answer)
        assert answer.control_id == "BYTES1"
        refused(town, case, "lis", content)
    still_taken(town, "lis")


def test_a_charset_lie_that_can_be_resolved_is_noted_and_written(town: Town) -> None:
    who = samples.resident()
    content = samples.oru(who).decode().encode("gb18030")
    assert town.mllp("lis", content).code == "AA"
    kept = town.kept("lis", content)
    assert (kept.state, kept.charset) == ("mapped", "gb18030")
    (record,) = town.show(kept.id)["records"]
    told(CASES["charset-lie"], record["findings"])
    assert town.resource(record, "Patient")["name"][0]["text"] == who.name
    assert town.original(kept.id) == content


def test_a_message_type_without_a_profile_is_ar(town: Town) -> None:
    case = CASES["unknown-message"]
    content = (builtin.MAPPINGS / "clinical/hl7v2_adt/examples/ordinary.hl7").read_bytes()
    with town.nothing_written():
        answered_ar(case, town.mllp("analyser", content))
        refused(town, case, "analyser", content)


def test_a_sender_that_is_not_on_the_list_is_ar(town: Town) -> None:
    case = CASES["wrong-sender"]
    content = samples.oru(samples.resident(), application="STRANGER")
    with town.nothing_written():
        answered_ar(case, town.mllp("lis", content))
        refused(town, case, "lis", content)
    still_taken(town, "lis")


def test_a_workbook_without_the_table_goes_back_with_the_reason(town: Town) -> None:
    case = CASES["unknown-table"]
    content = samples.workbook([{"甲": "1", "乙": "2"}])
    with town.nothing_written():
        assert town.drop("sheets", "other.xlsx", content).parent.name == "refused"
        refused(town, case, "sheets", content)
    assert (town.root / "sheets/out/other-结果.xlsx").exists()
    still_taken(town, "sheets")


@pytest.mark.parametrize("source", ["documents", "lis", "village-post"])
def test_a_refused_message_that_is_replayed_unmended_is_refused_again(town: Town, source: str) -> None:
    bad = {
        "documents": b"<not><closed>",
        "lis": samples.oru(samples.resident()).replace("生化".encode(), b"\xff\xff"),
        "village-post": b"[1,",
    }[source]
    if source == "lis":
        town.mllp(source, bad)
    else:
        town.post(source, bad)
    kept = town.kept(source, bad)
    with town.nothing_written():
        assert town.command("messages.replay", message=kept.id)["state"] == "refused"
    assert town.kept(source, bad).state == "refused"
    assert town.original(kept.id) == bad
