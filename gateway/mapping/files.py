"""The set of mapping files: built-in folder, the site's over it, or the snapshot that the database holds of the active set."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gateway.errors import MapError

_KEPT = frozenset({".csv", ".map", ".toml", ".json", ".txt", ".hl7", ".xml", ".xlsx"})
_EPOCH = (1980, 1, 1, 0, 0, 0)


class MapFiles(Mapping[str, bytes]):
    """Relative path with `/` -> content. Two sets with the same `digest` (sha-256, hex) are the same set. `places` says for people
    where a file lies on disk; a snapshot names its relative path."""

    def __init__(self, content: Mapping[str, bytes], places: Mapping[str, str] | None = None) -> None:
        self._content = dict(sorted(content.items()))
        self.places = dict(places or {})
        self.digest = digest_of((p.encode(), c) for p, c in self._content.items())

    @classmethod
    def from_folders(cls, folders: Iterable[Path]) -> MapFiles:
        """Files of all folders; a later folder lies over an earlier one, file by file. MapError when a folder is missing."""
        content: dict[str, bytes] = {}
        places: dict[str, str] = {}
        for folder in folders:
            if not folder.is_dir():
                raise MapError([f"{folder}:1:1: 没有这个文件夹; 下一步: 检查 yifang.toml 的 mappings"])
            for path in sorted(folder.rglob("*")):
                if _wanted(path.relative_to(folder)) and path.is_file():
                    name = path.relative_to(folder).as_posix()
                    content[name], places[name] = path.read_bytes(), str(path)
        return cls(content, places)

    @classmethod
    def from_snapshot(cls, snapshot: bytes) -> MapFiles:
        """The set that `snapshot()` wrote."""
        with zipfile.ZipFile(io.BytesIO(snapshot)) as archive:
            return cls({info.filename: archive.read(info) for info in archive.infolist()})

    def snapshot(self) -> bytes:
        """A zip of all files; equal sets give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self._content.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    def under(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Files whose path starts with the prefix, in order."""
        return ((name, content) for name, content in self._content.items() if name.startswith(prefix))

    def text(self, name: str) -> str:
        """A file as UTF-8 text; MapError when it is not."""
        try:
            return self._content[name].decode("utf-8-sig")
        except UnicodeDecodeError as e:
            raise MapError([f"{name}:1:1: 不是 UTF-8 文件(第 {e.start + 1} 字节); 下一步: 用 UTF-8 另存"]) from e

    def replaced(self, changes: Mapping[str, bytes | None]) -> MapFiles:
        """The same set with files changed, added, or (None) taken out."""
        kept = {n: c for n, c in self._content.items() if n not in changes}
        return MapFiles(kept | {n: c for n, c in changes.items() if c is not None}, self.places)

    def __getitem__(self, name: str) -> bytes:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def digest_of(pairs: Iterable[tuple[bytes, bytes]]) -> str:
    """SHA-256 over named contents, injective by lengths."""
    total = hashlib.sha256()
    for name, content in pairs:
        total.update(b"%d:%d:" % (len(name), len(content)))
        total.update(name)
        total.update(content)
    return total.hexdigest()


def _wanted(path: Path) -> bool:
    return path.suffix in _KEPT and not any(part.startswith((".", "~")) for part in path.parts)
