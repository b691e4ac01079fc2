"""HL7 v2 over MLLP and in files."""

from adapters.hl7v2.adapter import Hl7v2Adapter, adapter

__all__ = ["Hl7v2Adapter", "adapter"]
