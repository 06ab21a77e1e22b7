"""Another embedding model takes the serving one's place, in the background, and no search notices before it is done.

Asked for by an administrator or the command line, or by a worker that is configured for another model than the one that
serves. A job then makes the missing vectors in batches of one transaction each that holds its lease, so whoever takes it
over goes on where it was. Documents stored meanwhile get vectors of both models. When no passage lacks one, one
transaction switches, and the previous model's vectors go once every process has noticed.
"""
