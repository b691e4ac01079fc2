"""Yifang (医防网关): the FHIR R4 gateway for a county medical community."""

__version__ = "0.1.0"
