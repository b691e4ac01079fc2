"""The scenarios: requests with what is expected of any FHIR R4 server, and where HAPI's answer is another. One runner for every server.

`scenarios.json`: `{"differences": {name: {"yifang", "hapi", "why"}}, "scenarios": [{"name", "clause", "steps": [step]}]}`. A step:

    request   "METHOD path" below the base, or "METHOD {variable}" with a whole URL
    headers   of the request; a resource goes as application/fhir+json unless Content-Type says otherwise
    body      a resource, a list (JSON Patch) or a text
    save      variable -> place in the answer: `id`, `body.…`, `link(next)`; `{variable}` in later steps stands for it. There are also
              `{run}` (the run's mark), `{base}`, `{digits}` (a number of the run's own) and `{filler}` (a long text)
    expect    aspect (tests/acid/answers.py) or `body.…` -> value
    hapi      aspect -> [HAPI's value (`…`: it varies), name of the difference]; every other aspect is the same
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from gateway.fhir.json import decode, encode
from tests.acid.answers import Aspects, aspects, at, body_of

__all__ = ["Scenario", "Server", "Step", "differences", "scenarios"]

FILE = Path(__file__).with_name("scenarios.json")
FILLER = 70_000
"""Characters of `{filler}`: more than the gateway of these tests takes in one body."""
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Step:
    """One request, what is expected of the answer, and what HAPI answers otherwise."""

    name: str
    request: str
    headers: dict[str, str]
    body: Any
    save: dict[str, str]
    expect: dict[str, Any]
    hapi: dict[str, tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps in order; those of one scenario use what the ones before left."""

    name: str
    clause: str
    steps: tuple[Step, ...]


@cache
def _file() -> Any:
    return decode(FILE.read_bytes())


def differences() -> dict[str, dict[str, str]]:
    """Name -> what Yifang does, what HAPI does, and why Yifang does it so."""
    return dict(_file()["differences"])


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All of the file. KeyError, TypeError for a step that lacks something or says something unknown."""
    return tuple(Scenario(s["name"], s["clause"], tuple(_step(n, step) for n, step in enumerate(s["steps"], 1))) for s in _file()["scenarios"])


def _step(number: int, raw: dict[str, Any]) -> Step:
    known: dict[str, Any] = {"request": "", "headers": {}, "body": None, "save": {}, "expect": {}, "hapi": {}}
    if raw.keys() - known.keys():
        raise KeyError(f"{raw['request']}: {raw.keys() - known.keys()}")
    told = known | raw
    told["hapi"] = {aspect: tuple(pair) for aspect, pair in told["hapi"].items()}
    return Step(f"{number} {raw['request']}", **told)


class Server:
    """A server under a base URL, as one run of the scenarios meets it. run: a letter and hexadecimal digits that no other run has; every id
    that the scenario chooses begins with it."""

    def __init__(self, base: str, run: str, client: httpx.Client) -> None:
        self.base, self.run, self.client = base, run, client
        self.variables: dict[str, str] = {"run": run, "base": base, "digits": str(int(run[1:], 16)), "filler": "x" * FILLER}

    def play(self, scenario: Scenario) -> Iterator[tuple[Step, Aspects]]:
        """Does the steps one after another; each with the aspects of its answer, those that the step's expectations name among them."""
        for step in scenario.steps:
            answer = self._send(step)
            body = body_of(answer)
            for name, place in step.save.items():
                found = (
                    answer.headers.get("location", "").partition("/_history")[0].rpartition("/")[2]
                    if place == "id"
                    else at(body, place.removeprefix("body."))
                )
                assert isinstance(found, str) and found, f"{scenario.name}, {step.name}: nothing at {place} of {answer.status_code} {answer.text}"
                self.variables[name] = found
            found_aspects = aspects(answer, self.run)
            for name in step.expect.keys() | step.hapi.keys():
                if name.startswith("body."):
                    found_aspects[name] = self.general(at(body, name[5:]))
            yield step, found_aspects

    def filled(self, value: Any) -> Any:
        """The value with variables put in; braces that name none stay."""
        if isinstance(value, str):
            return _VARIABLE.sub(lambda m: self.variables.get(m[1], m[0]), value)
        if isinstance(value, dict):
            return {self.filled(k): self.filled(v) for k, v in value.items()}
        return [self.filled(v) for v in value] if isinstance(value, list) else value

    def general(self, value: Any) -> Any:
        """The value with what this server allotted put back to the name it was saved under."""
        names = {v: f"{{{k}}}" for k, v in self.variables.items()}
        return names.get(value, value) if isinstance(value, str) else value

    def _send(self, step: Step) -> httpx.Response:
        method, _, target = self.filled(step.request).partition(" ")
        whole = target if target.startswith("http") else f"{self.base}/{target}".removesuffix("/")
        url = quote(whole, safe=":/?&=%$,;*()+@!~")
        headers = self.filled(step.headers)
        body = self.filled(step.body)
        if body is not None and not any(h.lower() == "content-type" for h in headers):
            headers["Content-Type"] = "application/fhir+json"
        content = body.encode() if isinstance(body, str) else b"" if body is None else encode(body)
        return self.client.request(method, url, content=content or None, headers=headers)
