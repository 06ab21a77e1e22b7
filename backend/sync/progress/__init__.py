"""How far a run is: what is written and read most of it, each time by one statement in one round trip."""
