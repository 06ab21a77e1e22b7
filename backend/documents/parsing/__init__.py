"""From a file's bytes to text that can be searched and quoted.

`parser.parse` is the way in; the rest of the folder is one concern each: `decoding` (bytes to characters),
`engine` (the library that reads PDF and office formats), `docx` and `pptx` (what that library loses of them),
`mail` (messages), `cleaning` (what no stored text may contain) and `failures` (how reading can fail).

A parse either yields text or raises a `ParseFailed`; it never passes an empty document on as a success.
"""
