"""`make bench`: measures, prints a table, writes build/bench.json.

python -m tests.bench [message document mllp api search inserts follow-up memory commands] [--quick] [--rounds N] [--messages N]
    [--sizes N,N] [--requests N] [--database sqlite|postgres|both] [--rows N]
    [--keep WHERE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import api, commands, fhir_servers, follow_up, inserts, mapping, memory, mllp
from tests.bench import search as searching
from tests.bench.measure import Figure

BUILD = Path(__file__).resolve().parents[2] / "build"
out = Console()


def options() -> argparse.Namespace:
    """What was asked on the command line; sizes that were not given are those of the default run, or of the quick one."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the gateway against its references.")
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], help="benches to run; all when left out")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    parser.add_argument("--rounds", type=int, help="alternating rounds of message, document and commands")
    parser.add_argument("--messages", type=int, help="messages of one burst over MLLP")
    parser.add_argument("--sizes", help="resources at which inserts and searches are measured, e.g. 100000,1000000")
    parser.add_argument("--requests", type=int, help="posts of one burst to the API; its other bursts follow from it")
    parser.add_argument("--database", choices=[*fhir_servers.PAIRS, "both"], default="both", help="databases on which the API is compared with HAPI")
    parser.add_argument("--rows", type=int, help="follow-up rows")
    parser.add_argument("--keep", default="", help="where filled databases of the search bench stay (a folder; on PostgreSQL a name's beginning)")
    parser.add_argument("--output", type=Path, default=BUILD / "bench.json")
    asked = parser.parse_args()
    rounds, messages, sizes, rows, requests = (5, 150, "10000,20000", 1000, 400) if asked.quick else (15, 1000, "100000,1000000", 10_000, 2000)
    asked.rounds = asked.rounds or rounds
    asked.messages = asked.messages or messages
    asked.sizes = [int(s) for s in (asked.sizes or sizes).split(",")]
    asked.rows = asked.rows or rows
    asked.requests = asked.requests or requests
    asked.databases = [*fhir_servers.PAIRS] if asked.database == "both" else [asked.database]
    asked.bursts = 2 if asked.quick else 5
    return asked


def run_commands(asked: argparse.Namespace) -> list[Figure]:
    """Start-up figures."""
    rounds = min(asked.rounds, 5)
    return [commands.map_check(rounds), *commands.serve(rounds, BUILD)]


BENCHES: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "message": lambda asked: [mapping.message(asked.rounds)],
    "document": lambda asked: [mapping.document(asked.rounds)],
    "commands": run_commands,
    "follow-up": lambda asked: follow_up.follow_up(asked.rows, BUILD),
    "memory": lambda asked: memory.memory(*((40, 40) if asked.quick else (200, 200)), BUILD),
    "mllp": lambda asked: mllp.traffic(asked.messages, asked.bursts, BUILD),
    "api": lambda asked: api.api(asked.requests, asked.bursts, asked.databases, BUILD, lambda text: out.print(f"[dim]{text}[/]")),
    "search": lambda asked: searching.search(asked.sizes, BUILD, asked.keep, lambda text: out.print(f"[dim]{text}[/]")),
    "inserts": lambda asked: inserts.inserts(asked.sizes, BUILD, lambda text: out.print(f"[dim]{text}[/]")),
}


def shown(figures: list[Figure]) -> Table:
    """The figures as a table."""
    table = Table("figure", "unit", "ours", "reference", "ratio", "target", "met", "note")
    for f in figures:
        number = ["" if v is None else f"{v:,.2f}" if abs(v) < 100 else f"{v:,.0f}" for v in (f.ours, f.reference, f.ratio)]
        met = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[f.met]
        table.add_row(f.name, f.unit, *number, f.target, met, f.note)
    return table


def main() -> None:
    """Runs what was asked; a bench that breaks stops the run, what was measured before it is written all the same."""
    asked = options()
    figures: list[Figure] = []
    BUILD.mkdir(exist_ok=True)
    try:
        for name in asked.names or BENCHES:
            out.print(f"[bold]{name}[/]")
            figures += BENCHES[name](asked)
    finally:
        asked.output.write_text(json.dumps([f.as_dict() for f in figures], ensure_ascii=False, indent=2) + "\n", "utf-8")
        out.print(shown(figures))


if __name__ == "__main__":
    main()
