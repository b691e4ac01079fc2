"""The scenarios against the gateway, and against the real HAPI: the same answers, or the difference is listed with its reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.acid.differences import PAGE, with_section
from tests.acid.scenario import Scenario, Server, differences, scenarios

EACH = pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)


def fresh(base: str, client: httpx.Client, run: str = "") -> Server:
    """A run of its own: no other run's resources are met."""
    return Server(base, run or f"r{uuid4().hex[:10]}", client)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A plain HTTP client."""
    with httpx.Client(timeout=60, trust_env=False) as made:
        yield made


@pytest.mark.slow
@EACH
def test_the_gateway_answers_as_expected(base: str, client: httpx.Client, scenario: Scenario) -> None:
    server = fresh(base, client)
    for step, answer in server.play(scenario):
        expected = {name: server.general(server.filled(value)) for name, value in step.expect.items()}
        assert {name: answer.get(name) for name in expected} == expected, step.name


@pytest.mark.hapi
@pytest.mark.slow
@EACH
def test_hapi_answers_the_same_or_the_difference_is_listed(base: str, client: httpx.Client, scenario: Scenario) -> None:
    ours = fresh(base, client)
    theirs = fresh(os.environ["YIFANG_TEST_HAPI"], client, ours.run)
    wrong = []
    for (step, answer), (_, hapi) in zip(ours.play(scenario), theirs.play(scenario), strict=True):
        listed = {name: value for name, (value, _) in step.hapi.items()}
        wrong += [f"{step.name}: {n} is the same in both ({answer.get(n)}), yet listed" for n in listed if answer.get(n) == hapi.get(n)]
        if "status" in listed and listed["status"] // 100 != answer["status"] // 100:  # another kind of answer: what it is, and no details
            answer, hapi = ({n: a.get(n) for n in ("status", "resource", "code")} for a in (answer, hapi))
        listed |= {name: hapi.get(name) for name, value in listed.items() if value == "…"}
        expected = {name: listed.get(name, answer.get(name)) for name in answer.keys() | hapi.keys()}
        wrong += [f"{step.name}: {n} is {hapi.get(n)!r} there, {v!r} was expected" for n, v in expected.items() if hapi.get(n) != v]
    assert not wrong, "\n".join(wrong)


def test_every_step_expects_something_and_every_difference_is_met() -> None:
    steps = [step for scenario in scenarios() for step in scenario.steps]
    assert [step.name for step in steps if "status" not in step.expect] == []
    assert {name for step in steps for _, name in step.hapi.values()} == differences().keys()
    assert all(s.clause.startswith("https://hl7.org/fhir/R4/") for s in scenarios())
    assert [name for name, told in differences().items() if told.keys() != {"yifang", "hapi", "why"}] == []


def test_the_documentation_lists_exactly_these_differences() -> None:
    page = PAGE.read_text("utf-8")
    assert with_section(page) == page, "run `python -m tests.acid.differences`"
