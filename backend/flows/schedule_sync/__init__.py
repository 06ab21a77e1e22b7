"""A connected source is synced again and again: every hour, unless somebody says otherwise.

The schedule is made with the first connection and ends with the disconnection; its turns are `begin_sync` jobs. While
a source needs to be reconnected its turns begin nothing, and go on by themselves once it is.
"""
