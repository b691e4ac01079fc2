"""Whose turn it is at the writer: stores first, others never starved, answered work stands back while messages come fast."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway.record import Draft, MapResult, Record
from gateway.store.turns import PATIENCE, QUIET, RECENT, SMALL, Turns
from gateway.store.work import Item, NewMessage, Work


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    """The clock of the turns under test."""
    return Seconds()


@pytest.fixture
def turns(clock: Seconds) -> Turns:
    """At most 100 pieces wait, 64 share a transaction."""
    return Turns(100, 64, clock)


def message(stored: int = 0, since: float = 0.0) -> NewMessage:
    """A message; stored: its id when its sender was answered."""
    return NewMessage("lis", "", "", "", "", "d", 1, (b"x",), stored=stored, early=bool(stored), since=since)


def work(name: str, resources: int = 1, **more: Any) -> Work:
    """Mapped work of so many resources."""
    record = Record("a", "d", (name,), "", {}, "", "")
    result = MapResult([Draft("Observation", "b", str(n), {}) for n in range(resources)], [], [])
    return Work(actor=name, items=[Item(record, result, "delta", "1", 0)], **more)


def stores(turns: Turns, count: int = RECENT) -> None:
    """Messages to be stored arrive at once."""
    for _ in range(count):
        turns.store(Work(message=message(), store=True))


def taken(turns: Turns) -> str | list[str]:
    """`stores`, or who is in the group that was taken; it is not done yet."""
    group = turns.take(0)
    assert group is not None
    return "stores" if group and group[0].store else [w.actor for w in group]


def write(turns: Turns, clock: Seconds, seconds: float = 0.001) -> str | list[str]:
    """Takes a group and says what it was; writing it takes so many seconds."""
    group = turns.take(0)
    assert group is not None
    clock.now += seconds
    turns.done(group)
    return "stores" if group and group[0].store else [w.actor for w in group]


def test_work_keeps_its_order_and_shares_groups(turns: Turns) -> None:
    for name in "abc":
        turns.put(work(name))
    assert taken(turns) == ["a", "b", "c"]
    assert turns.take(0) == []


def test_stores_come_first_and_other_work_has_every_second_turn(turns: Turns, clock: Seconds) -> None:
    turns.put(work("a"))
    stores(turns)
    assert write(turns, clock) == "stores"
    stores(turns)
    assert write(turns, clock) == ["a"]
    assert write(turns, clock) == "stores"


def test_groups_are_small_while_stores_come(turns: Turns, clock: Seconds) -> None:
    for name in "abcd":
        turns.put(work(name, SMALL // 2))
    stores(turns, 1)
    assert [write(turns, clock) for _ in range(3)] == ["stores", ["a", "b"], ["c", "d"]]
    turns.put(work("large", SMALL * 3))
    assert write(turns, clock) == ["large"]


def test_answered_work_stands_back_until_messages_stop_coming(turns: Turns, clock: Seconds) -> None:
    turns.put(work("a", message=message(7, clock.now)))
    for _ in range(5):
        stores(turns)
        assert write(turns, clock) == "stores"
        assert turns.pressed(clock.now)
    clock.now += QUIET * 1.1
    assert not turns.pressed(clock.now)
    assert write(turns, clock) == ["a"]


def test_it_does_not_where_somebody_waits_behind_it(turns: Turns, clock: Seconds) -> None:
    turns.put(work("a", message=message(7, clock.now)))
    turns.put(work("waits", message=message()))
    stores(turns)
    assert write(turns, clock) == "stores"
    assert write(turns, clock) == ["a", "waits"]


def test_it_does_not_where_messages_come_no_faster_than_they_are_written(turns: Turns, clock: Seconds) -> None:
    for _ in range(RECENT):
        stores(turns, 1)
        write(turns, clock)
        clock.now += 0.02  # twice as long as a message takes
    turns.put(work("a", message=message(7, clock.now)))
    assert write(turns, clock) == ["a"]


def test_slow_storing_does_not_count_as_slow_coming(turns: Turns, clock: Seconds) -> None:
    for _ in range(RECENT):
        stores(turns, 1)
        write(turns, clock, 0.1)
    turns.put(work("a", message=message(7, clock.now)))
    assert turns.pressed(clock.now)


def test_a_sender_that_waits_for_the_writer_counts_as_fast(turns: Turns, clock: Seconds) -> None:
    """Eight senders that repeat as soon as they are answered come slowly only because a long group keeps them."""
    for _ in range(3):
        stores(turns)
        write(turns, clock)
        turns.put(work("somebody waits"))
        taken_group = turns.take(0)
        assert taken_group is not None
        clock.now += 0.3
        stores(turns)
        turns.done(taken_group)
        write(turns, clock)
    turns.put(work("a", message=message(7, clock.now)))
    assert turns.pressed(clock.now)


def test_after_its_patience_answered_work_has_half_of_the_time(turns: Turns, clock: Seconds) -> None:
    since = clock.now
    stores(turns)
    write(turns, clock)
    clock.now += PATIENCE
    spent = {"work": 0.0, "stores": 0.0}
    for n in range(200):
        stores(turns)
        turns.put(work(str(n), message=message(7, since)))
        before = clock.now
        kind = "stores" if write(turns, clock, 0.01) == "stores" else "work"
        spent[kind] += clock.now - before
    assert spent["work"] == pytest.approx(spent["stores"], rel=0.1)


def test_a_command_that_joins_goes_with_the_next_group_or_alone(turns: Turns, clock: Seconds) -> None:
    turns.put(work("a"))
    turns.put(Work(actor="word", command=lambda _unit, _applier: None, joins=True))
    assert write(turns, clock) == ["word", "a"]
    turns.put(work("b", message=message(7, clock.now)))
    stores(turns)
    write(turns, clock)
    turns.put(Work(actor="word", command=lambda _unit, _applier: None, joins=True))
    assert write(turns, clock) == ["word"]


def test_what_is_put_back_comes_first_again(turns: Turns) -> None:
    for name in "abc":
        turns.put(work(name))
    group = turns.take(0)
    assert group is not None
    turns.put(work("d"))
    turns.back(group[1:])
    assert taken(turns) == ["b", "c", "d"]


def test_put_waits_for_room() -> None:
    turns = Turns(1, 64)
    turns.put(work("a"))
    second = threading.Thread(target=turns.put, args=(work("b"),))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    assert taken(turns) == ["a"]
    second.join(10)
    assert not second.is_alive()
    assert taken(turns) == ["b"]


def test_closing_gives_what_waits_and_then_the_end(turns: Turns, clock: Seconds) -> None:
    stores(turns)
    turns.put(work("a", message=message(7, clock.now)))
    turns.close()
    assert [write(turns, clock), write(turns, clock), turns.take(0)] == ["stores", ["a"], None]
