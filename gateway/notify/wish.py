"""What a Subscription asks for, read from the resource and held against what this gateway serves.

http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription; everything that is refused says what is expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from gateway.errors import Finding, Refused
from gateway.fhir.query import Criterion, parse_query
from gateway.notify.criteria import Test, all_of
from gateway.notify.topics import Topic, Trigger
from gateway.store.deliveries import micro

__all__ = ["Wish", "allowed", "read_wish"]

EXTENSIONS = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
PAYLOAD = "application/fhir+json"
CONTENTS = ("id-only", "empty")
HIGHEST_COUNT = 100
"""Events in one notification at most."""
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}):[ \t]*([\x20-\x7e]{0,4096})")
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade", "cookie"})
_PORTS = {"http": 80, "https": 443}
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """A Subscription that can be served. filters: by resource type, what one of the two versions must pass. content: id-only | empty.
    heartbeat, timeout: seconds, None for none of its own. max_count: events in one notification. ends: µs since the epoch."""

    topic: Topic
    filters: Mapping[str, Sequence[Test]]
    endpoint: str
    headers: Mapping[str, str]
    content: str
    heartbeat: int | None
    timeout: int | None
    max_count: int
    ends: int | None

    def triggers(self, type_: str) -> list[Trigger]:
        """Triggers of its topic on resources of this type; none for types that its filters leave out."""
        if self.filters and type_ not in self.filters:
            return []
        return [t for t in self.topic.triggers if t.type == type_]

    def passes(self, type_: str, now: Body | None, before: Body | None) -> bool:
        """Whether the filters let a change pass: by the version that is, or by the one that was, since whoever was told of it must also be
        told that it is no longer so."""
        tests = self.filters.get(type_, ())
        return any(version is not None and all(test(version) for test in tests) for version in (now, before)) if tests else True


def read_wish(body: Body, topics: Mapping[str, Topic], endpoints: Sequence[str]) -> Wish:
    """What a Subscription asks for. Raises Refused with what is wrong with it. topics: by canonical URL; endpoints: the allow-list."""
    topic = _topic(body, topics)
    channel = body.get("channel")
    if not isinstance(channel, dict) or channel.get("type") != "rest-hook":
        raise _refused("unsupported-channel", "channel.type", "只支持 rest-hook 通道")
    endpoint = channel.get("endpoint")
    if not isinstance(endpoint, str) or not allowed(endpoint, endpoints):
        text = "这个地址不在允许的接收地址之列: 请管理员把它写进 yifang.toml 的 [notify] endpoints 并重启网关"
        raise _refused("endpoint-not-allowed", "channel.endpoint", text)
    ends = body.get("end")
    return Wish(
        topic,
        dict(_filters(body, topic)),
        endpoint,
        dict(_headers(channel)),
        _content(channel),
        _number(channel, "heartbeat-period", "valueUnsignedInt"),
        _number(channel, "timeout", "valueUnsignedInt"),
        min(_number(channel, "max-count", "valuePositiveInt") or HIGHEST_COUNT, HIGHEST_COUNT),
        _moment(ends) if ends is not None else None,
    )


def allowed(endpoint: str, endpoints: Sequence[str]) -> bool:
    """Whether an address is one of these, or below one of them that ends in `/`. Scheme, host and port must be the same."""
    asked = _split(endpoint) if re.fullmatch(r"[\x21-\x7e]+", endpoint) else None
    if asked is None or asked.username is not None or asked.fragment or not _plain(asked.path):
        return False
    return any(_covers(one, asked) for one in map(_split, endpoints) if one is not None)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in _PORTS and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _covers(known: SplitResult, asked: SplitResult) -> bool:
    def place(p: SplitResult) -> tuple[str, str | None, int]:
        return p.scheme, p.hostname, p.port or _PORTS[p.scheme]

    if place(known) != place(asked):
        return False
    return asked.path == known.path or (known.path.endswith("/") and asked.path.startswith(known.path))


def _plain(path: str) -> bool:
    """No way out of a folder, written plainly or escaped."""
    return not re.search(r"(^|/)\.{1,2}(/|$)|[\\%\x00-\x20]", path)


def _topic(body: Body, topics: Mapping[str, Topic]) -> Topic:
    criteria = body.get("criteria")
    found = topics.get(criteria.partition("|")[0]) if isinstance(criteria, str) else None
    if found is None:
        known = "、".join(sorted(topics)) or "(无)"
        raise _refused("unknown-topic", "criteria", f"criteria 应为一个订阅主题的规范地址; 已有: {known}")
    return found


def _filters(body: Body, topic: Topic) -> Iterator[tuple[str, list[Test]]]:
    """Tests by resource type. A filter without a type holds for every type of the topic; types that no filter names are left out."""
    found: dict[str, list[Test]] = {}
    for text in _extended(body.get("_criteria"), "filter-criteria", "valueString"):
        named, mark, query = str(text).partition("?")
        criteria = _parsed(query) if mark else ()
        types = [named] if named else sorted(topic.types)
        if not criteria or not topic.types.issuperset(types):
            expected = "应写成 资源类型?参数=值, 例如 Observation?patient=Patient/1; 资源类型限于: " + "、".join(sorted(topic.types))
            raise _refused("unsupported-filter", "criteria", f"筛选条件写法不对, {expected}")
        for type_ in types:
            wrong = [c.name for c in criteria if c.code not in topic.filters.get(type_, ())]
            if wrong:
                known = "、".join(sorted(topic.filters.get(type_, ()))) or "(无)"
                raise _refused("unsupported-filter", "criteria", f"{type_} 不能按 {'、'.join(wrong)} 筛选; 可用: {known}")
            try:
                found.setdefault(type_, []).append(all_of(type_, criteria))
            except Refused as e:
                raise Refused(e.finding.at(target="Subscription.criteria")) from None
    yield from found.items()


def _parsed(query: str) -> tuple[Criterion, ...]:
    try:
        return parse_query(query).criteria
    except Refused as e:
        raise Refused(e.finding.at(target="Subscription.criteria")) from None


def _headers(channel: Body) -> Iterator[tuple[str, str]]:
    for line in channel.get("header", ()):
        found = _HEADER.fullmatch(line) if isinstance(line, str) else None
        if found is None or found[1].lower() in _OURS:
            raise _refused("bad-header", "channel.header", "channel.header 应为 `名称: 值`, 不能设置 Host、Content-Type 等由网关写的头")
        yield found[1], found[2].strip()


def _content(channel: Body) -> str:
    if channel.get("payload") != PAYLOAD:
        raise _refused("unsupported-payload", "channel.payload", f"channel.payload 应为 {PAYLOAD}")
    found = list(_extended(channel.get("_payload"), "payload-content", "valueCode"))
    if len(found) != 1 or found[0] not in CONTENTS:
        text = f"channel.payload 应带扩展 {EXTENSIONS}payload-content, 值为 id-only 或 empty; 通知里不发资源内容"
        raise _refused("unsupported-content", "channel.payload.extension", text)
    return str(found[0])


def _number(channel: Body, name: str, value: str) -> int | None:
    """The value of a numeric extension of the channel; 0 is none."""
    found = list(_extended(channel, name, value))
    if not found:
        return None
    if len(found) > 1 or not isinstance(found[0], int) or isinstance(found[0], bool) or found[0] < 0:
        raise _refused("bad-extension", "channel.extension", f"扩展 backport-{name} 应只有一个, 值为不小于 0 的整数")
    return found[0] or None


def _moment(text: Any) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
    except (TypeError, ValueError):
        raise _refused("bad-instant", "end", "end 应为带时区的时刻, 例如 2026-12-31T23:59:59+08:00") from None
    return micro(moment)


def _extended(element: Any, name: str, value: str) -> Iterator[Any]:
    """Values of an extension of the Backport guide."""
    extensions = element.get("extension") if isinstance(element, dict) else None
    for one in extensions if isinstance(extensions, list) else ():
        if isinstance(one, dict) and one.get("url") == EXTENSIONS + name:
            yield one.get(value)


def _refused(code: str, element: str, text: str) -> Refused:
    return Refused(Finding(code, "refuse", f"Subscription.{element}: {text}", target=f"Subscription.{element}"))
