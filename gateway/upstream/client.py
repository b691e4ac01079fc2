"""A FHIR R4 server reached through `requests`: transaction, read, search.

https://hl7.org/fhir/R4/http.html#transaction. Redirects are not followed: a POST that turns into a GET on another host would look like
success. The body is read whole before anything is believed, so half a body is a passing fault and not an acceptance.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson  # answers without decimals: Bundles of a transaction, OperationOutcomes
import requests
from requests.adapters import HTTPAdapter

from gateway.config import DestinationConfig
from gateway.errors import TerminalError, TransientError
from gateway.fhir.json import decode
from gateway.upstream.hook import retry_after
from gateway.upstream.replies import Accepted, EntryResult, MissingTargets, Paused, Referenced, Rejected, Reply, Retry, VersionConflict

SEARCHED = 50
"""Ids in one search."""
FHIR_JSON = "application/fhir+json"
_ABSENT = re.compile(
    r"HAPI-109[456]|Resource \S+ (?:not found|is deleted), specified in path|Unable to find referenced resource|Unknown reference", re.I
)
_STALE = re.compile(r"HAPI-0989|not the current version", re.I)
_REFERRED = re.compile(r"Unable to delete \S+ because .*?First reference found was resource (\S+/\S+)", re.S)
_NO_BASE = re.compile(r"HAPI-0302|Unknown resource type", re.I)
_TARGET = re.compile(r"\b([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})\b")
_AGAIN = frozenset({408, 409, 423, 425, 429})
_PAUSE = {
    401: ("unauthorized", "目标服务器要求认证(401): 请检查 destination.authorization 里的令牌是否过期, 然后运行 `yifang deliveries resume`"),
    403: ("forbidden", "目标服务器拒绝了本网关的账号(403): 请目标方授予写权限, 然后运行 `yifang deliveries resume`"),
    407: ("proxy", "代理要求认证(407): 请检查代理设置, 然后运行 `yifang deliveries resume`"),
    405: ("not-a-fhir-base", "目标地址不接受事务(405): 请检查 destination.url 是否为 FHIR 基地址, 然后运行 `yifang deliveries resume`"),
    410: ("not-a-fhir-base", "目标地址已停用(410): 请检查 destination.url, 然后运行 `yifang deliveries resume`"),
}


class FhirServer:
    """One destination. Thread-safe: every thread has a session of its own, so that connections are kept alive per lane."""

    def __init__(self, destination: DestinationConfig, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.destination = destination
        self.base = destination.url.rstrip("/")
        self._now = now
        self._local = threading.local()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers.update({"Accept": FHIR_JSON, "Accept-Charset": "utf-8"})
            if self.destination.authorization:
                session.headers["Authorization"] = self.destination.authorization
            session.verify = self.destination.verify
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=4, max_retries=0))
            self._local.session = session
        return session

    def transaction(self, bundle: bytes, entries: int) -> Reply:
        """POSTs a transaction Bundle of that many entries; never raises for what a server or network can do."""
        try:
            answer = self._session().post(
                self.base,
                data=bundle,
                headers={"Content-Type": FHIR_JSON, "Prefer": "return=minimal"},
                timeout=self.destination.timeout,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError:
            return Paused("tls", "目标服务器的 TLS 证书未通过校验: 请检查证书或 destination.verify, 然后运行 `yifang deliveries resume`")
        except requests.exceptions.Timeout:
            return Retry("timeout")
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            return Paused("not-a-fhir-base", "destination.url 不是合法的 http(s) 地址: 请改正后运行 `yifang deliveries resume`")
        except requests.exceptions.RequestException:
            return Retry("connection")
        return self._reply(answer, entries)

    def _reply(self, answer: requests.Response, entries: int) -> Reply:
        status = answer.status_code
        if 200 <= status < 300:
            return _accepted(answer.content, entries)
        if status in _PAUSE:
            return Paused(*_PAUSE[status])
        if 300 <= status < 400:
            return Paused("redirect", f"目标地址转向别处({status}): 请把 destination.url 改为最终的 FHIR 基地址, 然后运行 `yifang deliveries resume`")
        text = diagnostics(answer.content)
        if status == 412 or (status == 409 and _STALE.search(text)):
            return VersionConflict()
        if status == 409 and (found := _REFERRED.findall(text)):
            return Referenced(tuple(dict.fromkeys(found)), text)
        if status in _AGAIN or status >= 500:
            return Retry(str(status), retry_after(answer.headers.get("Retry-After", ""), self._now()))
        if _ABSENT.search(text):
            targets = tuple(dict.fromkeys(_TARGET.findall(text)))
            if targets:
                return MissingTargets(targets, text)
        if status == 404 and (not text or _NO_BASE.search(text)):
            return Paused("not-a-fhir-base", "目标地址不存在(404): 请检查 destination.url, 然后运行 `yifang deliveries resume`")
        return Rejected(status, text)

    def read(self, type_: str, id_: str) -> tuple[str, bytes] | None:
        """(ETag, body) of the current version, None when it is absent or deleted. Raises TransientError or TerminalError."""
        answer = self._get(f"{self.base}/{type_}/{id_}")
        if answer.status_code in (404, 410):
            return None
        self._expect(answer)
        return etag(answer.headers.get("ETag", "")), answer.content

    def search(self, type_: str, parameters: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Matches of a search, page by page along the server's own next links. Raises TransientError or TerminalError."""
        answer = self._get(f"{self.base}/{type_}", parameters)
        while True:
            self._expect(answer)
            page = decode(answer.content)
            yield from (e["resource"] for e in page.get("entry", ()) if e.get("search", {}).get("mode", "match") == "match")
            following = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), None)
            if following is None:
                return
            answer = self._get(following)

    def present(self, type_: str, ids: Iterable[str]) -> set[str]:
        """Which of these ids the server has (`_id` search). Raises TransientError or TerminalError."""
        wanted = sorted(ids)
        found: set[str] = set()
        for i in range(0, len(wanted), SEARCHED):
            part = {"_id": ",".join(wanted[i : i + SEARCHED]), "_count": str(SEARCHED), "_elements": "id"}
            found.update(r["id"] for r in self.search(type_, part))
        return found

    def _get(self, url: str, parameters: dict[str, str] | None = None) -> requests.Response:
        try:
            return self._session().get(url, params=parameters, timeout=self.destination.timeout, allow_redirects=False)
        except requests.exceptions.SSLError as e:
            raise TerminalError("tls") from e
        except requests.exceptions.RequestException as e:
            raise TransientError(type(e).__name__) from e

    def _expect(self, answer: requests.Response) -> None:
        if answer.status_code in _AGAIN or answer.status_code >= 500:
            raise TransientError(str(answer.status_code))
        if answer.status_code != 200:
            raise TerminalError(str(answer.status_code))


def _accepted(body: bytes, entries: int) -> Reply:
    """A 2xx is believed only when its body answers every entry."""
    try:
        bundle = orjson.loads(body)
        found = [e["response"] for e in bundle["entry"]]
        results = tuple(EntryResult(int(str(r["status"])[:3]), etag(r.get("etag", "")), r.get("location", "")) for r in found)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return Retry("unreadable-answer")
    if bundle.get("type") != "transaction-response" or len(results) != entries or any(r.status >= 300 for r in results):
        return Retry("unfitting-answer")
    return Accepted(results)


def etag(value: str) -> str:
    """The version inside an ETag: `W/"3"` gives `3`, and so does the bare `3` of a HAPI transaction-response; "" when there is none."""
    match = re.fullmatch(r'(?:W/)?"([^"]*)"|([^"\s]+)', value.strip())
    return (match[1] or match[2] or "") if match else ""


def diagnostics(body: bytes) -> str:
    """The texts of an OperationOutcome, one a line; "" when the body is none."""
    try:
        outcome = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return ""
    issues = [i for i in outcome.get("issue", ()) if isinstance(i, dict)]
    return "\n".join(str(i.get("diagnostics") or (i.get("details") or {}).get("text") or i.get("code", "")) for i in issues)
