"""What people, rules and models say a document is: each decision counts for search in the transaction that stores it.

classified ──► confirmed ──► rejected, confirmed …     (what a person has decided, no rule or model changes)
"""
