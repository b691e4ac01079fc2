"""SQL on FHIR: ViewDefinitions compiled to closures and run over the store (https://sql-on-fhir.org/ig/)."""
