"""Subscriptions: who asked is told what happened, in order, once in effect (http://hl7.org/fhir/uv/subscriptions-backport, the R4 part)."""
