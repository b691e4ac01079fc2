"""Search: the one way into what the store holds (https://hl7.org/fhir/R4/search.html)."""

from gateway.store.search.guard import Limits
from gateway.store.search.page import Compartment, Found, Page
from gateway.store.search.searcher import Searcher, holders, search

__all__ = ["Compartment", "Found", "Limits", "Page", "Searcher", "holders", "search"]
