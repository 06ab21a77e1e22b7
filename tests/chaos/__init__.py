"""Chaos: `scripts/chaos NAME`. Real workers, a real server, faults at seeded moments, and a count of what went wrong.

hub.py      a GitHub in memory, with as many items as wanted
tokens.py   its tokens: refresh tokens work once each
faults.py   what goes wrong between it and the workers
plan.py     which faults, when, from a seed
crew.py     the bundled server, a web instance and workers, of the product
storm.py    carries the faults out: on requests, processes and the server
audit.py    a trigger that counts writes of workers that do not hold the job
verdict.py  what is stored beside what the source has
sync.py     one sync through all of it
memory.py   a worker's memory over many items
"""
