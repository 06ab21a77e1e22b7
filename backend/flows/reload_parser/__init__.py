"""The parser of every process: make all of them read its settings anew, and see which runs which version."""
