"""The product's verbs. A flow may use several rooms in one transaction; rooms never use each other.

connect_account    a person connects a source: begin, the provider's page, the callback
sync_connector     a connected source is read, page by page, and its progress followed
ingest_document    bytes become a document that search finds, and what it says goes into the graph
delete_document    a document and all that only it said are gone
ask                a question becomes ranked sources and an answer that cites them
"""
