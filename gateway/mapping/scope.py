"""What names mean at one place of a map: rows in reach, aliases, the input of a fragment."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mapping.fields import Field, Group


@dataclass(frozen=True, slots=True)
class Alias:
    """A name given by `each ... as NAME`: a row of a group, or one value of a repeating field."""

    name: str
    depth: int
    group: Group | None
    field: Field | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Immutable; `within` gives the scope inside an `each`. chain: paths of the block rows around; rows: of all rows around, those of
    elements too; depth: how many these are."""

    top: Group
    aliases: tuple[Alias, ...] = ()
    chain: tuple[tuple[str, ...], ...] = ()
    depth: int = 0
    fragment: bool = False
    rows: tuple[tuple[str, ...], ...] = ()

    def alias(self, name: str) -> Alias | None:
        """The alias of that name, innermost first."""
        return next((a for a in reversed(self.aliases) if a.name == name), None)

    def within(self, alias: Alias, path: tuple[str, ...], block: bool) -> Scope:
        """Inside an `each` over `path`, of a block or of an element."""
        chain = (*self.chain, path) if block else self.chain
        return Scope(self.top, (*self.aliases, alias), chain, self.depth + 1, self.fragment, (*self.rows, path))

    def names(self) -> list[str]:
        """Everything that may stand as a field here, for `nearest`."""
        return [*self.top.fields, *self.top.groups, *(a.name for a in self.aliases)]
