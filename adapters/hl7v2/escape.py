"""Escape sequences of HL7 v2 text. HL7 v2.5.1, 2.7."""

from __future__ import annotations

import re
from collections.abc import Callable

from adapters.hl7v2.header import Separators

_BREAKS = frozenset({".br", ".sp", ".fi", ".nf", ".ce"})


def unescaper(separators: Separators, charset: str = "utf-8") -> Callable[[str], str]:
    """A function from escaped to plain text for these separators; `charset` reads the bytes of `\\Xdd..\\`.

    Unknown sequences stay as they are written (a Windows path in a comment is text, not an error); highlighting is dropped.
    """
    e = separators.escape
    plain = {
        "F": separators.field,
        "S": separators.component,
        "T": separators.sub,
        "R": separators.repetition,
        "E": e,
        "H": "",
        "N": "",
    }
    pattern = re.compile(re.escape(e) + r"([FSTREHN]|X(?:[0-9A-Fa-f]{2})+|\.(?:br|sp|fi|nf|ce|in|ti|sk)[+-]?\d*)" + re.escape(e))

    def one(match: re.Match[str]) -> str:
        body = match[1]
        if body[0] == "X":
            try:
                return bytes.fromhex(body[1:]).decode(charset)
            except UnicodeDecodeError:
                return match[0]
        if body[0] != ".":
            return plain[body]
        if body[:3] == ".sk":
            return " " * int(body[3:].lstrip("+-") or 1)
        return "\n" * int(body[3:].lstrip("+-") or 1) if body[:3] in _BREAKS else ""

    return lambda text: pattern.sub(one, text)


def escape(text: str, separators: Separators) -> str:
    """Plain text as it may stand in a field; line breaks become `\\.br\\`."""
    e = separators.escape
    table = {
        e: f"{e}E{e}",
        separators.field: f"{e}F{e}",
        separators.component: f"{e}S{e}",
        separators.repetition: f"{e}R{e}",
        separators.sub: f"{e}T{e}",
        "\r": "",
        "\n": f"{e}.br{e}",
    }
    return "".join(table.get(c, c) for c in text)
