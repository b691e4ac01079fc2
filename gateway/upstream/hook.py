"""A receiver of notifications, reached by POST (https://hl7.org/fhir/R4/subscription.html#channels, rest-hook).

Redirects are not followed, and nothing of an answer but its status and Retry-After is read: a receiver cannot lead the gateway elsewhere,
nor keep it busy with a body.
"""

from __future__ import annotations

import email.utils
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from requests.adapters import HTTPAdapter

__all__ = ["Hook", "Refusal", "retry_after"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a notification was not taken. code: HTTP status, or `timeout`, `connection`, `tls`, `redirect`. lasting: trying again soon changes
    nothing. after: seconds that the receiver asked to wait, or None."""

    code: str
    lasting: bool = False
    after: float | None = None


_PASSING = frozenset({408, 409, 423, 425, 429})


class Hook:
    """POSTs notifications. Thread-safe: every thread has a session of its own. verify: TLS verification, true or a CA bundle."""

    def __init__(self, verify: bool | str = True, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._verify = verify
        self._now = now
        self._local = threading.local()

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Refusal | None:
        """None when the receiver answered 2xx; never raises for what a receiver or network can do."""
        try:
            answer = self._session().post(url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False, stream=True)
        except requests.exceptions.SSLError:
            return Refusal("tls", lasting=True)
        except requests.exceptions.Timeout:
            return Refusal("timeout")
        except (requests.exceptions.RequestException, UnicodeError):
            return Refusal("connection")
        with answer:
            status = answer.status_code
            if 200 <= status < 300:
                return None
            if 300 <= status < 400:
                return Refusal("redirect", lasting=True)
            after = retry_after(answer.headers.get("Retry-After", ""), self._now())
            return Refusal(str(status), lasting=status < 500 and status not in _PASSING, after=after)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # neither a proxy nor a password file of this machine has a say in where notifications go
            session.verify = self._verify
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=4, max_retries=0))
            self._local.session = session
        return session

    def close(self) -> None:
        """Closes the connections of the calling thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()
            del self._local.session


def retry_after(header: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header in either form (RFC 9110 §10.2.3), or None."""
    value = header.strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
