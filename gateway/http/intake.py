"""`POST /ingest/{source}`: a message for a configured source, in the adapter's own format; answered after the commit."""

from __future__ import annotations

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.config import SourceConfig
from gateway.errors import ConfigError, Finding, TransientError
from gateway.fhir.outcome import operation_outcome
from gateway.http.bodies import Oversized, read_body
from gateway.http.callers import DEMO, Caller
from gateway.http.problems import FHIR_JSON, Problem, language
from gateway.http.receipts import STATUS, receipt_view
from gateway.record import IN_PART, Incoming, Receipt
from gateway.site import Site


async def take(request: Request, site: Site, name: str) -> Response:
    """Accepts the body as one message. 200 written, 202 kept for a person, 207 partly, 413 and 422 refused and kept, 503 not stored."""
    try:
        source = site.config.source_named(name)
    except ConfigError:
        raise Problem(404, "not-found", f"没有名为 {name} 的来源; 请核对地址里的来源名", f"No source named {name}") from None
    caller: Caller = request.state.caller
    if not admitted(source, caller):
        raise Problem(403, "forbidden", "此调用方不能向该来源提交; 请管理员把它加入 source.tokens", "This client may not post to this source")
    try:
        body = await read_body(request.stream(), site.config.http.max_body)
    except ClientDisconnect:
        raise Problem(400, "incomplete", "请求体没有传完, 未收下; 请重发", "The body was cut off; send it again") from None
    incoming = _incoming(request, body)
    try:
        receipt = await site.gateway.intake(name).accept(incoming)
    except TransientError:
        zh, en = "暂时无法保存, 未收下; 请稍后重发", "Could not be stored now; send it again later"
        raise Problem(503, "transient", zh, en, headers={"Retry-After": "5"}) from None
    return respond(receipt, language(request), isinstance(body, Oversized))


def admitted(source: SourceConfig, caller: Caller) -> bool:
    """Whether the caller may post: named in `source.tokens`, or, with none named, of the source's own organisation."""
    if caller is DEMO:  # no clients are configured, so none can be named either
        return True
    return caller.client in source.tokens if source.tokens else caller.organisation == source.organisation


def _incoming(request: Request, body: bytes | Oversized) -> Incoming:
    kind = request.headers.get("content-type", "application/octet-stream")
    peer = request.client.host if request.client else ""
    name = request.headers.get("x-message-name", "")
    if isinstance(body, bytes):
        return Incoming(body, kind, name, peer)
    text = (
        f"报文超过上限(已读 {body.read} 字节, SHA-256 {body.digest}), 只留存开头 {len(body.head)} 字节; 请拆成小批重发, 或请管理员调高 http.max_body"
    )
    return Incoming(body.head, IN_PART, name, peer, refused=Finding("too-large", "refuse", text))


def respond(receipt: Receipt, language: str, oversized: bool = False) -> Response:
    """The answer to a receipt: JSON with one outcome a record, or an OperationOutcome when the message was refused as a whole."""
    if receipt.state == "refused":
        found = receipt.findings or [Finding("refused", "refuse", "报文被拒绝")]
        headers = {"X-Message-Id": str(receipt.message), "Content-Type": f"{FHIR_JSON}; charset=utf-8"}
        return Response(orjson.dumps(operation_outcome(found, language)), 413 if oversized else 422, headers)
    return Response(orjson.dumps(receipt_view(receipt)), STATUS[receipt.state], {"X-Message-Id": str(receipt.message)}, "application/json")
