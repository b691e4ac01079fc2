"""Which addresses are allowed: https://owasp.org/www-community/attacks/Server_Side_Request_Forgery is what the list stands against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.notify.topics import FOLDER, read_topic, topics
from gateway.notify.wish import allowed

LIST = ["https://lis.example/hooks/", "http://10.0.0.5:8080/exact", "https://[fd00::1]/v6/"]


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://lis.example/hooks/results",
        "https://LIS.example:443/hooks/a/b?token=1",
        "http://10.0.0.5:8080/exact",
        "https://[fd00::1]/v6/x",
    ],
)
def test_addresses_on_the_list_are_allowed(endpoint: str) -> None:
    assert allowed(endpoint, LIST)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://lis.example/hooks/results",
        "https://lis.example/hooks",
        "https://lis.example/hooksandmore/x",
        "https://lis.example:8443/hooks/x",
        "https://lis.example.evil.example/hooks/x",
        "https://lis.example@evil.example/hooks/x",
        "https://user@lis.example/hooks/x",
        "https://lis.example/hooks/../admin",
        "https://lis.example/hooks/..",
        "https://lis.example/hooks/%2e%2e/admin",
        "https://lis.example/hooks/..\\admin",
        "https://lis.example/hooks/\nx",
        "https://lis.example\\@evil.example/hooks/x",
        "http://10.0.0.5:8080/exact/more",
        "http://10.0.0.5/exact",
        "ftp://lis.example/hooks/x",
        "file:///etc/passwd",
        "//lis.example/hooks/x",
        "https://lis.example:99999/hooks/x",
        "",
    ],
)
def test_all_others_are_not(endpoint: str) -> None:
    assert not allowed(endpoint, LIST)
    assert not allowed(endpoint, [])


def test_the_built_in_topics_are_read_and_their_addresses_are_the_deployments() -> None:
    found = topics("https://county.example/fhir")
    assert (
        {u.rpartition("/")[2] for u in found} == {p.stem for p in FOLDER.glob("*.json")} == {"record-changed", "result-available", "result-critical"}
    )
    assert all(t.types and set(t.filters) == t.types for t in found.values())


def test_a_site_adds_a_topic_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "topics").mkdir()
    own = {"url": "{base}/SubscriptionTopic/own", "title": "住院", "description": "住院", "resourceTrigger": [
        {"resource": "Encounter", "supportedInteraction": ["create"], "queryCriteria": {"current": "class=IMP"}}
    ]}  # fmt: skip
    (tmp_path / "topics" / "own.json").write_text(json.dumps(own), "utf-8")
    topic = topics("https://x.example/fhir", tmp_path)["https://x.example/fhir/SubscriptionTopic/own"]
    (trigger,) = topic.triggers
    code = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
    assert trigger.happens("create", {"resourceType": "Encounter", "class": code}, None)
    assert not trigger.happens("create", {"resourceType": "Encounter", "class": code | {"code": "AMB"}}, None)
    assert not trigger.happens("update", {"resourceType": "Encounter", "class": code}, {})


def test_a_topic_that_cannot_be_used_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    trigger = {"resource": "Encounter", "supportedInteraction": ["create"], "fhirPathCriteria": "Encounter.length > 3"}
    file.write_text(json.dumps({"url": "u", "title": "t", "description": "d", "resourceTrigger": [trigger]}), "utf-8")
    with pytest.raises(ConfigError, match=r"odd\.json"):
        read_topic(file, "https://x.example")
