"""The table of docs/bad-input.md: what bad input gets. Every row is proved by a test that takes its expectations from here;
`python -m tests.faults.cases` writes the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of bad input. answer: what the sender is told; kept: message state, and how much of the bytes; code and severity of the
    finding; says, next: parts of its Chinese text; source: its source column or place, "" when the text itself names the place; mend:
    how it comes right."""

    title: str
    answer: str
    kept: str
    code: str
    severity: str
    says: str
    next: str
    source: str
    mend: str


CASES: dict[str, Case] = {
    "not-xml": Case(
        "a document that is not XML",
        "file: moved to `refused/`; POST: 422",
        "refused",
        "not-xml",
        "refuse",
        "第 1 行第 1 列解析失败",
        "请检查文件是否完整",
        "",
        "sent again, whole",
    ),
    "doctype": Case(
        "XML with a DOCTYPE",
        "file: moved to `refused/`; POST: 422",
        "refused",
        "xml-doctype",
        "refuse",
        "带有 DOCTYPE 声明",
        "请发送方去掉后重发",
        "",
        "sent again without it",
    ),
    "not-json": Case(
        "a body that is not JSON",
        "422 with an OperationOutcome",
        "refused",
        "not-json",
        "refuse",
        "不是合法的 JSON",
        "请检查发送程序",
        "第1行第2列",
        "sent again, well-formed",
    ),
    "body-too-large": Case(
        "an HTTP body above `http.max_body`",
        "413 with an OperationOutcome",
        "refused (head and digest)",
        "too-large",
        "refuse",
        "报文超过上限",
        "请拆成小批重发, 或请管理员调高 http.max_body",
        "",
        "sent again in smaller batches, or after the setting was raised; what was kept of it cannot be replayed",
    ),
    "frame-too-large": Case(
        "an MLLP frame above `max_frame`",
        "AR, reason in MSA-3 and ERR",
        "refused (head, size and digest)",
        "frame-too-large",
        "refuse",
        "报文超过上限 65536 字节",
        "请拆分后重发, 或调大该来源的 options.max_frame",
        "MLLP",
        "sent again in parts, or after the setting was raised; what was kept of it cannot be replayed",
    ),
    "half-frame": Case(
        "half an MLLP frame",
        "none (the sender sends it again)",
        "refused (head, size and digest)",
        "half-frame",
        "refuse",
        "只收到半条报文",
        "若常出现请检查网络与对方的超时设置",
        "MLLP",
        "the sender repeats it; what was kept of it cannot be replayed",
    ),
    "undecodable": Case(
        "bytes that no charset reads, whatever MSH-18 says",
        "AR, reason in MSA-3 and ERR",
        "refused",
        "undecodable",
        "refuse",
        "依次按 UTF-8、MSH-18(UNICODE UTF-8)、GB18030 严格解码都失败",
        "请对方统一字符集(建议 UTF-8, MSH-18 写 UNICODE UTF-8)后重发",
        "MSH-18",
        "`charset` in the source profile, `map activate`, `messages replay`; or sent again",
    ),
    "charset-lie": Case(
        "MSH-18 says another charset than the bytes have",
        "AA",
        "mapped",
        "charset-disagrees",
        "note",
        "报文实际按 gb18030 才能完整解码",
        "请对方把 MSH-18 改成与实际一致",
        "MSH-18",
        "nothing to do",
    ),
    "unknown-document": Case(
        "a document type that the source has no profile for",
        "file: moved to `refused/`; POST: 422",
        "refused",
        "unknown-dataset",
        "refuse",
        "文档类型 C0002(门(急)诊病历)没有配置, 本来源现收 C0007",
        "写进 yifang.toml 的 profiles, 再重放此消息",
        "code/@code",
        "the profile in `yifang.toml`, restart, `messages replay`",
    ),
    "unknown-message": Case(
        "an HL7 message type that the source has no profile for",
        "AR, reason in MSA-3 and ERR",
        "refused",
        "unknown-message-type",
        "refuse",
        "此来源不接收 ADT^A01 报文",
        "需要接收时把数据集加进此来源的 profiles, 再 `yifang messages replay`",
        "MSH-9",
        "the profile in `yifang.toml`, restart, `messages replay`",
    ),
    "unknown-record": Case(
        "a JSON record of none of the source's datasets",
        "207, outcome of each record",
        "partly",
        "unknown-dataset",
        "hold",
        "不属于该来源的任何数据集",
        "请核对记录的类型标志和主键成员, 改正后重新发送这一条",
        "记录 1",
        "sent again with its key members, or the profile mended, `map activate`, `messages replay`",
    ),
    "unknown-table": Case(
        "a workbook without the table that the profile describes",
        "file: moved to `refused/`, result sheet in `out/`",
        "refused",
        "no-table",
        "refuse",
        "找不到来源配置的表头",
        "请核对文件是否发错, 或在来源配置(sources/*.toml)里改列名",
        "健康档案编号、身份证号码",
        "the right file; or the columns in the source profile, `map activate`, `messages replay`",
    ),
    "missing-key": Case(
        "a record without its key",
        "207, outcome of each record",
        "partly",
        "missing-key",
        "hold",
        "readingId",
        "请在来源补上后重发",
        "readingId",
        "sent again with its number; or the locator in the source profile, `map activate`, `messages replay`",
    ),
    "nul-in-a-key": Case(
        "a NUL character in a text, here in the key",
        "207, outcome of each record",
        "partly",
        "nul-character",
        "drop",
        "文字里有 NUL 字符, 内容已损坏",
        "请检查来源的导出或字段定义",
        "readingId",
        "corrected at the source and sent again; in a field that nothing needs, the rest is written",
    ),
    "impossible-date": Case(
        "an impossible date (30 February) where the form must have one",
        "207, outcome of each record",
        "partly",
        "impossible-date",
        "hold",
        "日期或时间不存在(如2月30日、25时)",
        "请来源系统更正",
        "measuredAt",
        "corrected at the source and sent again",
    ),
    "check-digit": Case(
        "an ID-card number with a wrong check digit, beside a valid 健康档案编号",
        "200",
        "mapped",
        "id-card-check",
        "drop",
        "身份证号校验位不符(GB 11643)",
        "请核对原证件",
        "/resident/idCard",
        "the number is left out and links nobody; corrected at the source",
    ),
    "unknown-code": Case(
        "a code that stands in no table, where FHIR must have one",
        "207, outcome of each record",
        "partly",
        "untranslated-code",
        "hold",
        "代码 男 在对照表 administrative-gender 里没有对应",
        "请在 tables/administrative-gender.csv 加一行, 或更正来源的代码",
        "/resident/sex",
        "`[codes.性别]` in the source profile (or the table), `map activate`, `messages replay`",
    ),
    "impossible-value": Case(
        "a value outside possible limits (glucose 90 mmol/L)",
        "207, outcome of each record",
        "partly",
        "impossible-value",
        "hold",
        "血糖 90 mmol/L 超出可能范围(0.3 到 60), 暂扣等人核对",
        "请核对数值和单位后更正重发",
        "/glucose/value",
        "released, rejected, or sent again; a wrong unit: `[units]` in the source profile, `map activate`, `messages replay`",
    ),
    "impossible-result": Case(
        "one laboratory result outside possible limits",
        "AA",
        "mapped",
        "impossible-value",
        "drop",
        "血糖 90 mmol/L 超出可能范围(0.3 到 60), 这一项暂扣等人核对",
        "请核对数值和单位后更正重发",
        "OBX-5",
        "the report is written as `partial` with its other results; the one is released, rejected, or corrected by the LIS",
    ),
    "alarm-value": Case(
        "a value outside alarm limits",
        "200",
        "mapped",
        "alarm-value",
        "note",
        "收缩压 190 mmHg 超出警戒范围(90 到 179)",
        "请尽快处置",
        "/bp/systolic",
        "written; a person acts on it",
    ),
    "no-person": Case(
        "a patient without any identifier",
        "207, outcome of each record",
        "partly",
        "no-person-number",
        "hold",
        "没有可用的身份号码(身份证件号码、健康档案编号)",
        "请补上其中一个号码后重发, 或人工确认",
        "/resident/idCard",
        "sent again with a number; or the locator in the source profile, `map activate`, `messages replay`",
    ),
    "person-changed": Case(
        "a known number that now names another person",
        "AA, reason in MSA-3 and ERR",
        "held",
        "person-changed",
        "hold",
        "同一业务键此前属于另一位居民",
        "请核对是否编号重用或串号, 再放行或驳回",
        "业务键 390121101001/",
        "`holds release` or `holds reject`",
    ),
    "formula-error": Case(
        "XLSX with a formula error",
        "file: moved to `done/`, result sheet in `out/`",
        "partly",
        "formula-error",
        "hold",
        "第2行列“收缩压(mmHg)”的公式出错(#DIV/0!), 值不可用",
        "请改正公式或直接填入数值后重新发送",
        "收缩压(mmHg)",
        "the corrected file sent again",
    ),
    "lost-column": Case(
        "an SQL view that lost a column",
        "none; polled again with backoff",
        "nothing arrives, the watermark stays",
        "missing-column",
        "note",
        "视图 v_ehr_person里没有来源配置要读的列“birthday”",
        "请把列名改回, 或在来源配置(sources/*.toml)里改成新的列名",
        "birthday",
        "the column again, or its new name in the source profile and `map activate`",
    ),
    "lost-view": Case(
        "an SQL view that is gone or renamed",
        "none; polled again with backoff",
        "nothing arrives, the watermark stays",
        "view-missing",
        "note",
        "视图 v_ehr_person 不存在或没有读取权限",
        "请与厂商核对视图名(可能改名)和授权",
        "v_ehr_person",
        "the view again, or its new name in the source profile and `map activate`",
    ),
    "quality-control": Case(
        "a quality-control message of an analyser",
        "AA",
        "mapped",
        "",
        "",
        "",
        "",
        "",
        "it stands in the table `quality_control` and reaches no patient",
    ),
    "wrong-sender": Case(
        "a message of an application that is not on the list",
        "AR, reason in MSA-3 and ERR",
        "refused",
        "wrong-sender",
        "refuse",
        "MSH-3 是 STRANGER, 此端口只接收 LIS、HIS",
        "请检查发送方配置, 或修改该来源的 options",
        "MSH-3",
        "the sender's or the source's settings; `messages replay`",
    ),
}


def told(case: Case, findings: Iterable[Mapping[str, str]]) -> Mapping[str, str]:
    """The finding of a case among those that a person sees: code, severity, words, place and next step as the table says."""
    found = list(findings)
    hits = [f for f in found if f["code"] == case.code]
    assert hits, [f["code"] for f in found]
    finding = hits[0]
    assert finding["severity"] == case.severity
    for words in (case.says, case.next):
        assert words in finding["message"], finding["message"]
    assert case.source in finding.get("source", ""), finding
    return finding


def page() -> str:
    """The whole page."""
    rows = []
    for case in CASES.values():
        place = f" at `{case.source}`" if case.source else ""
        sees = f"`{case.code}` ({case.severity}){place}: {case.says} … {case.next}" if case.code else "no finding"
        cells = (case.title, case.answer, case.kept, sees, case.mend)
        rows.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return HEAD + "\n".join(rows) + "\n" + TAIL


HEAD = """# What bad input gets

Nothing is dropped: what the protocol or container refuses is answered and kept as `refused`, what a record lacks is a finding on that record,
and the rest of the batch goes on. Written by `python -m tests.faults.cases`; each row is a test in `tests/faults/` that sends the input over
the real protocol.

| input | answer | kept as | what a person sees | how it comes right |
| --- | --- | --- | --- | --- |
"""
TAIL = """
Findings are seen in the answer to the sender (HTTP outcome, MSA-3 and ERR, result sheet), in `yifang messages show`, and where a person must
decide in `yifang holds list`; findings of a source itself (a lost column) in `yifang doctor`.

## Mend and replay

The original bytes are kept, so a fault on our side needs no sending again: mend the map, table or source profile in the site's mappings folder,
look at `yifang map check` and `yifang map test` (`--accept` when the difference is what you want), then `yifang map activate`, and
`yifang messages replay` with the message's number. `yifang map remap --preview` shows what the mended map would change in records that were
written already. Of a message that was too large or broke off only the head is kept; it must be sent again.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8", newline="\n")
