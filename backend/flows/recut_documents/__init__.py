"""After a change of the parser's settings: what was cut into passages otherwise is cut anew, in the background."""
