"""A connected source is read, page by page, and its progress followed from any instance.

`flow` starts and cancels runs, `handler` is what the worker does, `stream` follows a run, `routes` is the API.

A run is a job. Each page's documents, counts, failures and checkpoint are one transaction that holds the job's
lease, so a worker killed anywhere loses at most the page it was reading, and one that was paused for too long
can write nothing any more.
"""
