"""HTTP: FHIR reads, message intake, health, readiness, metrics, and the door through which commands reach a running gateway."""
