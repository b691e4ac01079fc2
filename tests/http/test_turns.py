"""Short searches one at a time; a long one holds nobody up (gateway/http/turns.py)."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from gateway.http.turns import Turns


def test_short_work_is_done_one_after_another() -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1

    async def main() -> None:
        turns = Turns(patience=60)
        await asyncio.gather(*(turns.take(work) for _ in range(20)))

    asyncio.run(main())
    assert (inside, most) == (0, 1)


def test_long_work_gives_its_turn_away_once() -> None:
    free = threading.Event()
    done: list[str] = []

    async def main() -> None:
        turns = Turns(patience=0.01)
        long = asyncio.create_task(turns.take(lambda: free.wait(30) and done.append("long")))
        await asyncio.sleep(0)
        for n in range(3):
            await turns.take(lambda n=n: done.append(str(n)))  # type: ignore[misc]
        free.set()
        await long
        (turn,) = turns._turns.values()
        assert turn._value == 1, "as many turns as there were"

    asyncio.run(main())
    assert done == ["0", "1", "2", "long"]


def test_work_that_fails_gives_its_turn_back() -> None:
    def fault() -> None:
        raise ValueError("broken")

    async def main() -> None:
        turns = Turns(patience=60)
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await turns.take(fault)
        assert await turns.take(lambda: "next") == "next"

    asyncio.run(main())
