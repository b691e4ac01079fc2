"""The demo county: a seeded generator of a small county medical community, with its own ground truth, and its small senders.

No real person can match: area code 39 is not assigned, all names are invented.
"""
