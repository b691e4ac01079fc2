"""What one request comes to when it stands inside another answer: in an entry of a batch, or behind an asynchronous request."""

from __future__ import annotations

from gateway.errors import Refused
from gateway.fhir.outcome import issue_type
from gateway.http.call import Call, Reply
from gateway.http.problems import Problem, told
from gateway.http.registry import Handler
from gateway.http.router import route
from gateway.http.shaping import shaped

__all__ = ["failed", "refusal", "settled", "too_deep"]


async def settled(call: Call, handle: Handler | None = None) -> Reply:
    """The reply to a request; a fault is a reply, too. handle: the handler, when it was found already."""
    try:
        return shaped(call, await (handle or route(call))(call))
    except Problem as fault:
        return failed(call, fault)
    except Refused as e:
        return failed(call, refusal(e))
    except RecursionError:
        return failed(call, too_deep())


def failed(call: Call, fault: Problem) -> Reply:
    """The fault as a reply."""
    return Reply(fault.status, told(fault, call.language), dict(fault.headers))


def refusal(e: Refused) -> Problem:
    """What the store or the FHIR layer refuses, as 400."""
    f = e.finding
    code = issue_type(f.code)
    if code not in ("too-costly", "not-supported"):
        code = "invalid"
    return Problem(400, code, f.message, f"Refused: {f.code} {f.source}".strip(), f.target)


def too_deep() -> Problem:
    """400: what is walked level by level (a patch, references that are rewritten, a summary) has more levels than the interpreter goes down."""
    zh = "资源或请求体嵌套过深, 未处理; 请减少 extension 等元素的层数"
    return Problem(400, "too-long", zh, "The resource or the body is nested too deeply for this; use fewer levels of extensions and the like")
