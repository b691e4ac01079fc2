"""A small FHIR server with HAPI's habits, for tests: transactions are all or nothing, references must resolve, If-Match counts, ids of digits
only are refused. `refuses` names resources it finds invalid; `faults` are answers given instead, in order (a status, or a callable)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

_REFERENCE = re.compile(r'"reference": "([A-Z]\w+/[^"/]+)"')
Fault = int | Callable[["Server", Request], Response]


class Server:
    """State of the server: current versions by `Type/id`, and the transactions it was asked for."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, int] = {}
        self.refuses: set[str] = set()
        self.faults: list[Fault] = []
        self.transactions: list[list[str]] = []
        self.stale = 409  # HAPI's answer to a stale If-Match; other servers say 412
        httpserver.expect_request("/fhir", method="POST").respond_with_handler(self.transaction)
        httpserver.expect_request(re.compile(r"/fhir/\w+/[^/]+$"), method="GET").respond_with_handler(self.read)
        httpserver.expect_request(re.compile(r"/fhir/\w+$"), method="GET").respond_with_handler(self.search)
        self.url = httpserver.url_for("/fhir")

    def transaction(self, request: Request) -> Response:
        if self.faults:
            fault = self.faults.pop(0)
            return Response(status=fault) if isinstance(fault, int) else fault(self, request)
        return self.commit(json.loads(request.data))

    def commit(self, bundle: dict[str, Any]) -> Response:
        after = dict(self.resources)
        entries = bundle["entry"]
        self.transactions.append([e["request"]["url"] for e in entries])
        for e in entries:
            url, match = e["request"]["url"], e["request"].get("ifMatch")
            if e["request"]["method"] == "DELETE":
                if match and url in after and match != f'W/"{self.versions[url]}"':
                    return outcome(self.stale, f"HAPI-0989: Trying to delete {url} but this is not the current version")
                after.pop(url, None)
                continue
            resource = e["resource"]
            if url != f"{resource['resourceType']}/{resource['id']}" or resource["id"].isdigit():
                return outcome(400, "HAPI-0960: Can not create resource with ID, no client-assigned numeric ids")
            if url in self.refuses:
                return outcome(422, f"HAPI-0574: {url} is not valid")
            if match and url in self.versions and match != f'W/"{self.versions[url]}"':
                text = f"HAPI-0550: HAPI-0989: Trying to update {url}/_history/{match[3:-1]} but this is not the current version"
                return outcome(self.stale, text)
            after[url] = resource
        for e in entries:
            for target in _REFERENCE.findall(json.dumps(e.get("resource", {}))):
                if target not in after:
                    deleted = target in self.versions
                    code, fate = ("HAPI-1096", "is deleted") if deleted else ("HAPI-1094", "not found")
                    return outcome(400, f"{code}: Resource {target} {fate}, specified in path: {e['request']['url'].split('/')[0]}.subject")
        for gone in self.resources.keys() - after.keys():
            for url, resource in after.items():
                if gone in _REFERENCE.findall(json.dumps(resource)):
                    text = f"Unable to delete {gone} because at least one resource has a reference to this resource."
                    return outcome(409, f"{text} First reference found was resource {url} in path {url.split('/')[0]}.subject")
        answers = []
        for e in entries:
            url = e["request"]["url"]
            if e["request"]["method"] == "DELETE" or self.resources.get(url) != e["resource"]:
                self.versions[url] = self.versions.get(url, 0) + 1
            answers.append({"response": {"status": "200 OK", "etag": str(self.versions[url]), "location": f"{url}/_history/{self.versions[url]}"}})
        self.resources = after
        return Response(
            json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": answers}), content_type="application/fhir+json"
        )

    def read(self, request: Request) -> Response:
        url = request.path.removeprefix("/fhir/")
        if url not in self.resources:
            return outcome(404, f"HAPI-2001: Resource {url} is not known")
        return Response(json.dumps(self.resources[url]), headers={"ETag": f'W/"{self.versions[url]}"'}, content_type="application/fhir+json")

    def search(self, request: Request) -> Response:
        """By _id, as delivery and reconciliation ask."""
        type_ = request.path.removeprefix("/fhir/")
        urls = [f"{type_}/{id_}" for id_ in request.args["_id"].split(",")]
        entries = [{"resource": self.resources[u], "search": {"mode": "match"}} for u in urls if u in self.resources]
        return Response(json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}), content_type="application/fhir+json")

    def lose(self, url: str) -> None:
        """Somebody removes a resource there, whatever refers to it."""
        del self.resources[url]
        self.versions[url] += 1

    def write(self, resource: dict[str, Any]) -> None:
        """Another system writes here."""
        url = f"{resource['resourceType']}/{resource['id']}"
        self.resources[url] = resource
        self.versions[url] = self.versions.get(url, 0) + 1


def lost_reply(server: Server, request: Request) -> Response:
    """The server commits, and the answer is lost on the way."""
    server.commit(json.loads(request.data))
    return Response(status=502)


def outcome(status: int, text: str) -> Response:
    body = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing", "diagnostics": text}]}
    return Response(json.dumps(body), status=status, content_type="application/fhir+json")
