"""`python -m gateway.outbox`: delivers what an opened database owes, in a process beside `yifang serve` (gateway/outbox/process.py).

The first line of standard input is an `Order` as JSON; the process works until standard input ends: with `yifang serve`, however that ends.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from contextlib import ExitStack

from gateway.clock import SystemClock
from gateway.collector import settle
from gateway.log import configure
from gateway.occupancy import succeed
from gateway.outbox.process import Order
from gateway.outbox.senders import sending
from gateway.store.database import Database


def main() -> None:
    """Runs until told to stop; a signal to the process group is for `yifang serve`, which ends this process in order."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    order = Order.model_validate_json(sys.stdin.readline())
    configure(order.log)
    with ExitStack() as stack:
        database = Database.opened(order.store)
        stack.callback(database.close)
        if database.dialect == "sqlite" and not stack.enter_context(succeed(order.store.data, stopped)):  # on PostgreSQL leases run out
            return
        settle()
        stack.enter_context(sending(database, order.destinations, order.base, SystemClock()))
        sys.stdin.read()


def stopped(seconds: float) -> bool:
    """Waits so long, or until standard input has ended."""
    if sys.platform == "win32":  # where a pipe cannot be waited for
        time.sleep(seconds)
        return False
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    main()
