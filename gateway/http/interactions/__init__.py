"""FHIR interactions, one file each, named with FHIR's word."""
