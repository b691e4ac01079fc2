"""What a sender over HTTP is told of its message: a status and one outcome a record."""

from __future__ import annotations

from typing import Any

from gateway.record import Receipt, RecordOutcome

STATUS = {"mapped": 200, "repeat": 200, "held": 202, "stored": 202, "partly": 207, "refused": 422, "failed": 202}
"""Receipt state -> HTTP status. 202: kept, and a person or a mended map will decide; sending it again changes nothing."""

WORDS = {
    "mapped": "已收到并写入",
    "repeat": "此前已收到, 结果不变",
    "held": "已收到, 待人工核对",
    "stored": "已收到, 待处理",
    "partly": "已收到, 部分记录待核对或被拒绝, 逐条结果见 records",
    "refused": "已留存, 但被拒绝",
    "failed": "已收到, 处理失败, 修正后可重放",
}


def record_view(outcome: RecordOutcome) -> dict[str, Any]:
    """One record's outcome as JSON."""
    return {
        "position": outcome.position,
        "dataset": outcome.dataset,
        "key": list(outcome.key),
        "state": outcome.state,
        "findings": [f.as_dict() for f in outcome.findings],
        "resources": [{"type": t, "id": i, "version": v} for t, i, v in outcome.resources],
    }


def receipt_view(receipt: Receipt) -> dict[str, Any]:
    """The whole receipt as JSON; of very many records it lists some (gateway/pipeline/listing.py) and counts all."""
    return {
        "message": receipt.message,
        "state": receipt.state,
        "text": WORDS.get(receipt.state, receipt.state),
        "findings": [receipt.reason.as_dict()] if receipt.reason else [],
        "counts": dict(receipt.tally.records),
        "unlisted": 0 if receipt.rest is None else receipt.rest.records.total(),
        "records": [record_view(o) for o in receipt.outcomes],
    }
