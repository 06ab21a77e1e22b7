"""Reading any address a person names, without reaching what only this server reaches.

`addresses.py` says which addresses are public, `network.py` connects to those and no others, within a time, and
`fetch.py` is the way in: one GET, its redirects checked like the first address, its body bounded.

The check is where the connection is made, not where an address is read: a name is looked up once, every address it
has must be public, and the connection goes to an address that was looked at. A second look-up, a redirect, a number
written in another way or an environment's proxy leads nowhere else.
"""
