"""The pipeline: a message is stored, read into rows, made records, mapped, written, and answered only after the commit."""

from gateway.pipeline.binding import Binding, Catalogue
from gateway.pipeline.gateway import Gateway
from gateway.pipeline.repair import RemapReport
from gateway.pipeline.status import SourceStatus

__all__ = ["Binding", "Catalogue", "Gateway", "RemapReport", "SourceStatus"]
