"""MLLP framing: whatever way the reads fall, the same frames come out."""

from __future__ import annotations

import hashlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2.framing import HEAD, Broken, Deframer, Frame, envelope

CONTENT = st.binary(min_size=1, max_size=60).map(lambda b: b"MSH" + b.replace(b"\x0b", b"").replace(b"\x1c", b""))


def pieces(stream: bytes, cuts: list[int], limit: int = 1 << 20) -> list[Frame | Broken]:
    """What a stream gives when it is read in pieces that end at these places."""
    deframer = Deframer(limit)
    marks = sorted({min(c, len(stream)) for c in cuts} | {0, len(stream)})
    found = [p for a, b in itertools.pairwise(marks) for p in deframer.feed(stream[a:b])]
    rest = deframer.finish()
    return [*found, rest] if rest else found


@given(st.lists(CONTENT, max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_frames_survive_any_split_of_the_stream(contents: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(envelope(c) for c in contents)
    assert pieces(stream, cuts) == [Frame(c) for c in contents]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_no_byte_outside_frames_is_lost_in_silence(stream: bytes, cuts: list[int]) -> None:
    total = 0
    for piece in pieces(stream, cuts):
        total += len(piece.content) if isinstance(piece, Frame) else piece.size
    framing = stream.count(b"\x0b") + stream.count(b"\x1c")
    blank = sum(stream.count(b) for b in (b"\r", b"\n", b"\x00", b" ", b"\t"))
    assert len(stream) - framing - blank <= total <= len(stream)


def test_a_frame_that_ends_with_fs_alone_or_lf_is_whole() -> None:
    assert pieces(b"\x0bMSH|1\x1c\n\x0bMSH|2\x1c\x0bMSH|3\x1c", [3, 9]) == [Frame(b"MSH|1"), Frame(b"MSH|2"), Frame(b"MSH|3")]


def test_half_a_frame_at_disconnect_keeps_head_and_digest() -> None:
    (half,) = pieces(b"\x0bMSH|^~\\&|half", [])
    assert half == Broken("half", b"MSH|^~\\&|half", hashlib.sha256(b"MSH|^~\\&|half").hexdigest(), 13)


def test_a_sender_that_begins_anew_leaves_half_and_whole() -> None:
    found = pieces(b"\x0bMSH|one\rPID|\x0bMSH|two\x1c\r", [5, 14])
    assert [p.reason if isinstance(p, Broken) else p.content for p in found] == ["half", b"MSH|two"]


def test_a_frame_above_the_limit_keeps_head_and_digest_and_the_next_one_is_whole() -> None:
    large = b"MSH|" + b"x" * 10_000
    found = pieces(envelope(large) + envelope(b"MSH|small"), list(range(0, 10_000, 500)), limit=2000)
    assert found[0] == Broken("too-large", large[:HEAD], hashlib.sha256(large).hexdigest(), len(large))
    assert found[1] == Frame(b"MSH|small")


def test_bytes_between_frames_are_kept_as_noise() -> None:
    found = pieces(b"GET / HTTP/1.1\r\n" + envelope(b"MSH|1"), [4])
    assert [p.reason if isinstance(p, Broken) else p.content for p in found] == ["noise", b"MSH|1"]
