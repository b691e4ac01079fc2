"""The same ORU over MLLP on eight connections: the gateway against MessageFoundry, acknowledged and end to end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.measure import Figure, against
from tests.bench.products import ROOT, Unavailable, message_foundry, reference_python, yifang
from tests.bench.traffic import FhirSink, MllpSink, Sink

CONNECTIONS = 8
WARM_UP = 200
DELIVERED_WITHIN = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Run:
    """What one burst came to, per second."""

    acknowledged: float
    delivered: float
    p50: float
    p99: float


def traffic(messages: int, rounds: int, build: Path) -> list[Figure]:
    """Figures of acknowledged and delivered messages per second. Both products stay up; bursts alternate, each waits until all of the
    last burst is delivered, so that neither competes with the other's rest."""
    shutil.rmtree(build / "traffic", ignore_errors=True)
    with ExitStack() as stack:
        fhir, mllp = stack.enter_context(FhirSink()), stack.enter_context(MllpSink())
        own, _ = stack.enter_context(yifang(build / "traffic" / "yifang", fhir.port))
        note, other = "", 0
        try:
            product: AbstractContextManager[Any] = message_foundry(build / "traffic" / "messagefoundry", reference_python(build), mllp.port)
            other, _ = stack.enter_context(product)
        except Unavailable as e:
            note = f"reference not available: {e}"
        burst(own, fhir, 0, WARM_UP)
        if other:
            burst(other, mllp, 0, WARM_UP)
        ours, theirs = [], []
        for n in range(rounds):
            first = WARM_UP + n * messages
            ours.append(burst(own, fhir, first, messages))
            if other:
                theirs.append(burst(other, mllp, first, messages))
    return figures(ours, theirs, note)


def figures(ours: list[Run], theirs: list[Run], note: str) -> list[Figure]:
    """The two lines of the report, and how long an acknowledgement takes."""
    names = ("MLLP, 8 connections: acknowledged", "MLLP, 8 connections: mapped, stored, delivered")
    wait = Figure("MLLP, 8 connections: acknowledgement p99", "ms", sorted(r.p99 for r in ours)[len(ours) // 2])
    if not theirs:
        return [
            Figure(n, "messages/s", v, target=t, note=note)
            for n, v, t in zip(names, (ours[0].acknowledged, ours[0].delivered), ("≥ 1.2×", "≥ 2×"), strict=True)
        ] + [wait]
    p99 = sorted(r.p99 for r in theirs)[len(theirs) // 2]
    return [
        against(
            names[0],
            "messages/s",
            [r.acknowledged for r in ours],
            [r.acknowledged for r in theirs],
            "at least",
            1.2,
            "AA when the message is durable, mapped afterwards; reference: MessageFoundry 0.2.1, stored and forwarded afterwards",
        ),
        against(
            names[1],
            "messages/s",
            [r.delivered for r in ours],
            [r.delivered for r in theirs],
            "at least",
            2,
            "the reference forwards without mapping",
        ),
        Figure(wait.name, "ms", wait.ours, p99, wait.ours / p99, note=f"p50 {ours[-1].p50:.1f} ms, reference {theirs[-1].p50:.1f} ms"),
    ]


def burst(port: int, sink: Sink, first: int, count: int) -> Run:
    """Sends `count` messages from number `first` on and waits until the sink has them all."""
    before = sink.reports
    command = [sys.executable, "-m", "tests.bench.traffic", str(port), str(first), str(count), str(CONNECTIONS)]
    sender = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    arrived = sink.wait(before + count, DELIVERED_WITHIN)
    ended = time.time()
    out, _ = sender.communicate()
    told = json.loads(out)
    if told["refused"] or not arrived:
        raise RuntimeError(f"{told['refused']:.0f} messages were not accepted, {before + count - sink.reports} were not delivered")
    return Run(count / told["seconds"], count / (ended - told["began"]), told["p50"], told["p99"])
