"""Who follows something for longer than a request takes: whether they still may, asked every few seconds.

A request is judged when it comes. What stays open after that, such as an event stream, is judged here, all of a process
by one read.
"""
