"""FHIRPath compiled to closures over plain JSON (http://hl7.org/fhirpath/N1/), as invariants and discriminators need it."""
