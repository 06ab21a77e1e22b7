"""From a file's bytes to text that can be searched and quoted.

`reader.DocumentReader` is the way in: a worker has documents read by processes of their own (`process` is one as
the worker sees it, `child` its program, `framing` what they say to each other, `limits` what a document may
take). In there, `parser.parse` is the way in; the rest of the folder is one concern each: `archives` (what
an archive may hold), `sheets` (the first rows of long ones), `markup` (HTML that is nested too deeply), `decoding`
(bytes to characters),
`engine` (the library that reads PDF and office formats), `docx` and `pptx` (what that library loses of them),
`mail` (messages), `cleaning` (what no stored text may contain) and `failures` (how reading can fail).

A parse either yields text or raises a `ParseFailed`; it never passes an empty document on as a success.
"""
