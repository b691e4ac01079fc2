"""Writes the section "Differences from HAPI" of docs/api.md from tests/acid/scenarios.json: `python -m tests.acid.differences`."""

from __future__ import annotations

from pathlib import Path

from tests.acid.scenario import differences, scenarios

__all__ = ["section", "with_section"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
HEADING = "## Differences from HAPI\n"


def section() -> str:
    """The section as Markdown, its heading first."""
    steps = sum(len(s.steps) for s in scenarios())
    rows = [f"| {told['yifang']} | {told['hapi']} | {told['why']} |" for told in differences().values()]
    intro = (
        f"The {steps} requests of `tests/acid/scenarios.json` are sent to the gateway and to HAPI FHIR 8.8 as it starts, referential integrity on,\n"
        "in the same test. Status, `ETag`, `Last-Modified`, `Location`, media type and shape of the answers are the same but for these\n"
        "differences; the table is generated from that file (`python -m tests.acid.differences`).\n"
    )
    return "\n".join([HEADING, intro, "| Yifang | HAPI | why |", "| --- | --- | --- |", *rows]) + "\n"


def with_section(page: str) -> str:
    """The page with the section in its place, or at the end."""
    before, found, after = page.partition(HEADING)
    rest = after.partition("\n## ")[2] if found else ""
    return before.rstrip("\n") + "\n\n" + section() + (f"\n## {rest}" if rest else "")


if __name__ == "__main__":
    PAGE.write_text(with_section(PAGE.read_text("utf-8")), "utf-8")
