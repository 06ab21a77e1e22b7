"""Bytes become a document that search finds: parse, cut, embed (outside any transaction), then store.

What the document's metadata says goes into the graph in the transaction that stores it.
"""
