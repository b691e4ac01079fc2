"""The outbox: what was committed here is delivered to every configured FHIR server, once in effect, in an order it can accept."""
