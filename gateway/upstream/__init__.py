"""Client of a FHIR server (HAPI or another Yifang): transaction Bundles, reads, searches; every answer becomes one reply."""

from gateway.upstream.client import FhirServer
from gateway.upstream.replies import Accepted, EntryResult, MissingTargets, Paused, Referenced, Rejected, Reply, Retry, VersionConflict

__all__ = ["Accepted", "EntryResult", "FhirServer", "MissingTargets", "Paused", "Referenced", "Rejected", "Reply", "Retry", "VersionConflict"]
