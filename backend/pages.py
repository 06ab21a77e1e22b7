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
<body><main>
<p class="product">Second Brain</p>
{body}
</main></body></html>
"""


def page(title: str, body: str, *, head: str = "") -> str:
    """A page with the HTML `body`; `title` is text, `head` HTML."""
    return _SHELL.format(head=head, title=escape(title), style=STYLE, body=body)


def policy(*, form_action: str = "'none'") -> str:
    """The Content-Security-Policy of such a page; `form_action` says where its forms may lead."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action {form_action};"
        " frame-ancestors 'none'; base-uri 'none'"
    )
