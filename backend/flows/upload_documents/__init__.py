"""Files handed in become documents: kept in the transaction that enqueues their reading, read by a worker.

Web processes never parse. The request waits a little for the outcome, so that most files are there when it answers;
what is not by then becomes a document all the same, whatever happens to the process that took it.
"""
