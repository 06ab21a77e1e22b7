"""A provider calls because something changed, and a sync follows.

Calls for a whole app come to one address, signed with the app's secret, and concern the accounts they name, in
whichever workspace these are connected. Others come to an address that only one connector has, signed with a secret
that only it has; both follow from SECRET_KEYS, so every instance knows them and no table holds them.

The signature is checked over the raw body before anything of it is read. Each call counts once for each connector,
and however many come, one sync sees to all that came before it.
"""
