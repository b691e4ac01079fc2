"""Options of the cda adapter: of a source in yifang.toml, and of a source profile."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.adapter import LocalPath
from gateway.folder import FolderOptions

__all__ = ["NO_FOLDER", "Options", "ProfileOptions"]

NO_FOLDER = Path()
"""The folder of a source whose documents come by POST only."""


class Options(FolderOptions):
    """[source.options] of a source with adapter = "cda"."""

    folder: LocalPath = Field(NO_FOLDER, description="Folder that is watched; left out: documents come by POST only.")
    pattern: list[str] = Field(default_factory=lambda: ["*.xml", "*.cda"], description="File names taken, e.g. `*.xml`.")


class ProfileOptions(BaseModel):
    """[options] of a source profile with adapter = "cda"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: list[str] = Field(
        default_factory=list, description="Document types the profile takes, e.g. `C0007`; left out: `message` of the profile."
    )
    max_bytes: int = Field(16 * 2**20, ge=1024, description="Largest document in bytes; a larger one is refused and kept.")
