"""Has providers call that must be asked to: a channel is opened with the connection, renewed before its end, and ended.

Only where they can: the installation needs a public address with https. Channels fill no gap of their own: a source is
synced by its schedule as well.
"""
