"""Rules of the store that are data: whose word counts first, what vanishes how, which requests a workflow governs.

Files of `mappings/tables/`: precedence.csv (type,element,authorities), vanished.csv (type,element,value), governed.csv (type,namespace).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.store.compose import Precedence

__all__ = ["Rules"]

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the writer must know beside the records. vanished: type -> [(element, value)]; an empty element deletes, an empty value
    takes the element away. governed: (type, namespace); an empty namespace stands for every resource of the type."""

    precedence: Precedence = field(default_factory=Precedence)
    vanished: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    governed: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Rules:
        """Reads the three tables from a set of mapping files (paths `tables/….csv`); a table that is not there has no rows."""

        def text(name: str) -> str:
            return files.get(f"tables/{name}.csv", b"").decode("utf-8-sig")

        vanished: dict[str, list[tuple[str, str]]] = {}
        for row in csv.DictReader(io.StringIO(text("vanished"))):
            vanished.setdefault(row["type"], []).append((row["element"], row["value"]))
        governed = frozenset((row["type"], row["namespace"]) for row in csv.DictReader(io.StringIO(text("governed"))))
        return cls(Precedence.from_csv(text("precedence")), vanished, governed)

    @classmethod
    def from_folder(cls, folder: Path) -> Rules:
        """Reads the three tables below a mappings folder."""
        names = ("precedence", "vanished", "governed")
        return cls.from_files({f"tables/{n}.csv": p.read_bytes() for n in names if (p := folder / "tables" / f"{n}.csv").is_file()})

    def vanish(self, type_: str, body: Body) -> Body | None:
        """The resource once no record says it any more: its status tells so; None where it is deleted instead."""
        marks = self.vanished.get(type_, ())
        if not marks or not marks[0][0]:
            return None
        gone = dict(body)
        for element, value in marks:
            if not value:
                gone.pop(element, None)
            elif value in ("true", "false"):
                gone[element] = value == "true"
            elif "|" in value:
                system, code = value.split("|", 1)
                gone[element] = {"coding": [{"system": system, "code": code}]}
            else:
                gone[element] = value
        return gone

    def governs(self, type_: str, body: Body) -> bool:
        """Whether a transition table, not a record, sets this resource's workflow status once it exists."""
        if not any(t == type_ for t, _ in self.governed):
            return False
        spaces = {n for t, n in self.governed if t == type_}
        systems = {str(i.get("system", "")).rsplit("/ids/", 1)[-1] for i in body.get("identifier", ()) if isinstance(i, dict)}
        return "" in spaces or bool(spaces & systems)
