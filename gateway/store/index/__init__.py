"""The search index: pure extraction (`keys.py`), bulk write (`write.py`), conditions (`match.py`). Read through `gateway/store/search.py`."""
