"""The product's verbs. A flow may use several rooms in one transaction; rooms never use each other.

connect_account    a person connects a source: begin, the provider's page, the callback
sync_connector     a connected source is read, page by page, and its progress followed
ingest_document    bytes become a document that search finds, and what it says goes into the graph
delete_documents   documents and all that only they said are gone
upload_documents   files handed in are kept, read by a worker, and become documents
classify_documents what documents are taken for is found anew, by a model or by rules
ask                a question becomes ranked sources and an answer that cites them
"""
