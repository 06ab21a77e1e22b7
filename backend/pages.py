"""The few pages of HTML this server shows in a browser by itself: one look, no script, nothing fetched.

Whoever makes a page escapes what goes into its body.
"""

import base64
import hashlib
from html import escape
from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1d22; --soft: #5b616c; --line: #dcdfe4; --card: #fff; --ground: #f3f4f6;
  --accent: #1f4fd8; --on-accent: #fff; --alarm: #b3261e; --alarm-ground: #fdeceb }
@media (prefers-color-scheme: dark) { :root { --ink: #e9ebef; --soft: #a4abb8; --line: #3a3f49; --card: #1f2228;
  --ground: #14161a; --accent: #8fb0ff; --on-accent: #10131a; --alarm: #ffb4ab; --alarm-ground: #3b1d1a } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: 100%; max-width: 32rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem }
.product { margin: 0 0 .25rem; color: var(--soft); font-size: .875rem }
h1 { margin: 0 0 1.25rem; font-size: 1.5rem; line-height: 1.25; text-wrap: balance }
p { margin: 0 0 1rem }
p:last-child { margin: 0 }
form + .note { margin-top: 1rem }
a { color: var(--accent) }
dl { margin: 0 0 1rem; border: 1px solid var(--line); border-radius: .5rem }
dl > div { padding: .75rem 1rem }
dl > div + div { border-top: 1px solid var(--line) }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; overflow-wrap: anywhere }
dd strong, dd span { display: block }
dd span { color: var(--soft); font-size: .875rem }
form { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem }
button, .button { font: inherit; font-weight: 600; padding: .625rem 1.25rem; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); text-decoration: none }
.button.no { border-color: var(--line); background: none; color: inherit }
button:focus-visible, .button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
main.wide { max-width: 56rem; align-self: start }
nav { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; margin: 0 0 1.5rem; padding: 0 0 1rem;
  border-bottom: 1px solid var(--line) }
nav a[aria-current] { color: inherit; font-weight: 600; text-decoration: none }
nav .who { margin-left: auto; color: var(--soft); font-size: .875rem; overflow-wrap: anywhere }
nav form { margin: 0 }
nav .button { padding: .25rem .75rem; font-weight: 400; font-size: .875rem }
h2 { margin: 2rem 0 .75rem; font-size: 1.125rem }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.ask { flex-wrap: nowrap; margin: 0 0 1.5rem }
.ask input { margin: 0 }
.answer { white-space: pre-line; font-size: 1.125rem; overflow-wrap: anywhere }
.answer:empty::after { content: "Writing …"; color: var(--soft) }
.cite, .number { display: inline-block; min-width: 1.5em; padding: 0 .35em; border-radius: .35rem; text-align: center;
  font-size: .8125rem; line-height: 1.5; background: var(--ground); border: 1px solid var(--line); text-decoration: none }
.note { color: var(--soft); font-size: .875rem }
.sources { margin: 0; padding: 0; list-style: none }
.sources li { padding: .75rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }
blockquote { margin: .25rem 0 0; color: var(--soft); font-size: .9375rem }
table { width: 100%; margin-top: 1.5rem; border-collapse: collapse }
th, td { padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
th { color: var(--soft); font-size: .875rem; font-weight: 400 }
td:first-child { width: 40% }
.failed { color: var(--alarm) }
progress { display: block; width: 100%; margin-top: .25rem; accent-color: var(--accent) }
.upload { margin-bottom: 1.5rem }
.feedback { align-items: center; margin: 1rem 0 0 }
.feedback .button { padding: .25rem .75rem; font-weight: 400; font-size: .875rem }
.pages { display: flex; gap: 1rem; margin-top: 1rem }
.warning { padding: .75rem 1rem; border-left: .25rem solid var(--alarm); border-radius: .25rem;
  background: var(--alarm-ground); overflow-wrap: anywhere }
label { display: block; width: 100%; color: var(--soft); font-size: .875rem }
input { display: block; width: 100%; margin-top: .25rem; padding: .625rem .75rem; font: inherit; color: var(--ink);
  background: var(--ground); border: 1px solid var(--line); border-radius: .5rem }
input:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px }
"""
"""The style of all of them; a policy names it by its hash."""

_SHELL: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title}</title><style>{style}</style></head>
<body><main{kind}>
<p class="product">Second Brain</p>
{body}
</main></body></html>
"""


def page(title: str, body: str, *, head: str = "", is_wide: bool = False) -> str:
    """A page with the HTML `body`; `title` is text, `head` HTML. `is_wide` is for more than a form."""
    kind = ' class="wide"' if is_wide else ""
    return _SHELL.format(head=head, title=escape(title), style=STYLE, body=body, kind=kind)


def policy(*, form_action: str = "'none'") -> str:
    """The Content-Security-Policy of such a page; `form_action` says where its forms may lead."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action {form_action};"
        " frame-ancestors 'none'; base-uri 'none'"
    )
