"""No GPL or AGPL is linked; what the product itself needs is permissive (docs/decisions/005-licences.md)."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LESSER = {"psycopg", "psycopg-binary", "python-stdnum"}
"""LGPL, each with its reason in the decision."""


def name_of(requirement: str) -> str:
    """Normalised name of a requirement."""
    return re.split(r"[\s\[<>=!~;]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")


def closure(names: list[str]) -> dict[str, Distribution]:
    """The installed distributions that these need, with themselves."""
    found: dict[str, Distribution] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # needed on another system only
        todo += [name_of(r) for r in found[name].requires or () if "extra ==" not in r]
    return found


def licence(dist: Distribution) -> str:
    """What the distribution says of its licence."""
    meta = dist.metadata
    classifiers = [c for c in meta.get_all("Classifier") or () if c.startswith("License")]
    said = " ".join([meta.get("License-Expression") or "", (meta.get("License") or "")[:200], *classifiers])
    if said.strip():
        return said
    files = [f for f in dist.files or () if f.name.upper().startswith(("LICENSE", "COPYING"))]
    return " ".join(f.read_text()[:500] for f in files)


def test_nothing_linked_is_gpl_or_agpl() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [name_of(r) for r in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    dists = closure([*wanted, "psycopg-binary"])
    assert len(dists) > 40
    for name, dist in dists.items():
        text = licence(dist)
        assert text.strip(), f"{name} does not say its licence"
        strong = re.search(
            r"(?<!Lesser )(?<!L)\b(A?GPL|GNU (Affero )?General Public)", re.sub(r"LGPL|GNU Lesser General Public|Lesser General Public", "", text)
        )
        assert strong is None, f"{name}: {text}"
        if re.search(r"LGPL|Lesser General Public", text):
            assert name in LESSER, f"{name} is LGPL: decide about it in docs/decisions/005-licences.md"


def test_the_lock_file_has_hashes_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert lock.count("==") > 60
    assert "--index-url" not in lock and "--find-links" not in lock and "://" not in lock
    blocks = re.split(r"\n(?=[a-z0-9])", lock)
    assert all("--hash=sha256:" in b for b in blocks if "==" in b)
