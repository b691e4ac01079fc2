"""The OpenAPI document (https://spec.openapis.org/oas/v3.1.0), made from the registry as the CapabilityStatement is."""
