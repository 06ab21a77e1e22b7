"""A person disconnects a source: its access ends, its sync stops, its documents stay or go.

Documents go in the background, in batches of one transaction each that holds the job's lease, so whoever takes a job
over goes on where it was. What is known of the source's items and where reading was goes first: whoever connects
again, even before all is gone, reads everything anew, once all is gone. A sync that was running is let end first, and
what it still stored goes as well.
"""
