"""MSH: separators, who sent it, what it is, how to answer. HL7 v2.5.1, 2.15.9."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Finding, Refused


@dataclass(frozen=True, slots=True)
class Separators:
    """Field, component, repetition, escape and subcomponent separator (MSH-1, MSH-2)."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"


STANDARD = Separators()


@dataclass(frozen=True, slots=True)
class Header:
    """What the gateway needs of MSH before it knows what the message is; all values as written, "" where absent."""

    separators: Separators
    fields: tuple[str, ...]  # MSH-n stands at n - 1

    def field(self, number: int) -> str:
        """MSH-`number`, stripped; "" when absent."""
        return self.fields[number - 1].strip() if number <= len(self.fields) else ""

    @property
    def application(self) -> str:
        """MSH-3.1, sending application."""
        return self.field(3).split(self.separators.component)[0]

    @property
    def facility(self) -> str:
        """MSH-4.1, sending facility."""
        return self.field(4).split(self.separators.component)[0]

    @property
    def control_id(self) -> str:
        """MSH-10, message control id."""
        return self.field(10)

    @property
    def version(self) -> str:
        """MSH-12.1, e.g. `2.3.1`; "2.3.1" where the sender left it out."""
        return self.field(12).split(self.separators.component)[0] or "2.3.1"

    @property
    def type(self) -> str:
        """Message type and trigger, e.g. `ORU^R01`; the structure (MSH-9.3) fills a missing trigger."""
        parts = self.field(9).split(self.separators.component)
        code, _, tail = parts[0].partition("_")
        trigger = parts[1] if len(parts) > 1 and parts[1] else tail
        if not trigger and len(parts) > 2:
            trigger = parts[2].partition("_")[2]
        return f"{code}^{trigger}" if trigger else code


def read(text: str) -> Header:
    """Reads MSH from the start of a decoded message. Raises Refused (`not-hl7v2`) when there is none."""
    line = text[: _line_end(text)]
    if len(line) < 8 or not line.startswith("MSH") or line[3].isalnum():
        raise Refused(
            Finding(
                "not-hl7v2",
                "refuse",
                "不是 HL7 v2 报文: 开头应为 MSH 段(例如 MSH|^~\\&|...)。请检查发送方是否把别的内容发到了此端口; 原文已保留",
                source="MSH",
            )
        )
    raw = line.split(line[3])
    marks = raw[1]
    separators = Separators(
        line[3],
        *(marks[i : i + 1] or default for i, default in enumerate((STANDARD.component, STANDARD.repetition, STANDARD.escape, STANDARD.sub))),
    )
    return Header(STANDARD if separators == STANDARD else separators, (line[3], *raw[1:]))


def _line_end(text: str) -> int:
    ends = [i for i in (text.find("\r"), text.find("\n")) if i >= 0]
    return min(ends, default=len(text))
