"""The store: messages, records, contributions, resources with every version, the search index, deliveries."""
