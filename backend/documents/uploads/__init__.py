"""Files that people hand in: kept as they came, until a worker has made a document of each or says why it cannot.

    (new) ──► waiting ──► stored ──► (deleted with its document)
                     └──► failed ──► waiting, if the same bytes are handed in again

The document has the upload's id, so it can be named before it is there.
"""
