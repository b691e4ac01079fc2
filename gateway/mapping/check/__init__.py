"""What is wrong with a map, table or profile before any patient record is touched; one file per family of checks."""

from __future__ import annotations

from gateway.mapping.check.entry import plan, profile_tables, tables

__all__ = ["plan", "profile_tables", "tables"]
