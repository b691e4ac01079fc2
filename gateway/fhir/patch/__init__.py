"""PATCH of a resource: JSON Patch, FHIRPath Patch (https://hl7.org/fhir/R4/http.html#patch) and JSON Merge Patch.

All give a new resource and leave the given one as it was. A patch that is none raises Refused `bad-patch`; an operation that fails raises Refused
`patch-failed`, and its message and `source` (`operation 2`) name the operation, counted from 1. What comes out is still to be checked
(`gateway.fhir.structure`): a patch may well make a resource that R4 does not allow.
"""

from gateway.fhir.patch.fhirpath_patch import apply_fhirpath_patch
from gateway.fhir.patch.json_patch import apply_json_patch
from gateway.fhir.patch.merge_patch import apply_merge_patch

__all__ = ["apply_fhirpath_patch", "apply_json_patch", "apply_merge_patch"]
