"""What is wrong with a map, table or profile before any patient record is touched; one file per family of checks."""

from __future__ import annotations

from gateway.mapping.check.entry import check_all_tables, check_own, check_plan
from gateway.mapping.check.identity import check_change

__all__ = ["check_all_tables", "check_change", "check_own", "check_plan"]
