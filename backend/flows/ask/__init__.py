"""A question becomes ranked sources and an answer in which every sentence cites one of them."""
