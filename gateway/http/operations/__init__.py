"""One file each $operation; what the decorator registers is in the CapabilityStatement."""
