"""How documents' passages were cut, and which were cut otherwise than they would be now.

TABLE ops.document_cuts;
"""
