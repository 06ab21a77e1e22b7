"""Bytes become a document that search finds: parse, cut, embed (outside any transaction), then store."""
