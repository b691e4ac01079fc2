"""Writers of one process take turns in the order they asked, and none sleeps while it is his."""

from __future__ import annotations

import threading
import time

from gateway.store.fairlock import FairLock


def _asked(lock: FairLock, times: int) -> None:
    deadline = time.monotonic() + 10
    while len(lock._waiting) < times:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_lock_is_handed_over_in_the_order_it_was_asked_for() -> None:
    lock = FairLock()
    order: list[int] = []

    def work(n: int) -> None:
        with lock:
            order.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    with lock:
        for n, thread in enumerate(threads):
            thread.start()
            _asked(lock, n + 1)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))
    with lock:
        order.append(8)
    assert order[-1] == 8, "free again"


def test_two_never_hold_it_at_once() -> None:
    lock = FairLock()
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock:
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (inside, most) == (0, 1)
    assert not lock._taken
