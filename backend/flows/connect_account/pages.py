"""The two pages of connecting: who is about to be connected to what, and the way on to the provider."""

from html import escape

STYLE = """
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
"""
"""The style of both pages; a policy can name it by its hash."""

_SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title}</title><style>{style}</style></head>
<body><main>
<p class="product">Second Brain</p>
{body}
</main></body></html>
"""

_CONFIRMATION = """<h1>Connect {source} to this workspace?</h1>
{warning}
<dl>
<div><dt>Workspace</dt><dd><strong><bdi>{workspace}</bdi></strong><span>{slug}</span></dd></div>
<div><dt>Requested by</dt><dd><strong><bdi>{person}</bdi></strong><span><bdi>{email}</bdi></span></dd></div>
</dl>
<p>What your {source} account can read will be copied into this workspace, where its members can search it.</p>
<p>Continue only if you started this yourself and recognise both names.</p>
<form method="post" action="{action}">
<input type="hidden" name="ticket" value="{ticket}">
<input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit">Continue to {source}</button><a class="button no" href="{cancel}">Cancel</a>
</form>"""

_WARNING = (
    '<p class="warning" role="alert">In this browser you are signed in as <strong><bdi>{signed_in_as}</bdi></strong>, '
    "but this request comes from another account.</p>"
)

_ONWARD = """<h1>Taking you to {source} …</h1>
<p>If nothing happens, <a href="{address}">continue to {source}</a>.</p>"""


def confirmation_page(
    *,
    source: str,
    workspace: str,
    slug: str,
    person: str,
    email: str,
    action: str,
    ticket: str,
    confirmation: str,
    cancel: str,
    signed_in_as: str | None,
) -> str:
    """The question, everything escaped; `signed_in_as` is set when the browser is known to be somebody else's."""
    body = _CONFIRMATION.format(
        source=escape(source),
        workspace=escape(workspace),
        slug=escape(slug),
        person=escape(person),
        email=escape(email),
        action=escape(action),
        ticket=escape(ticket),
        confirmation=escape(confirmation),
        cancel=escape(cancel),
        warning=_WARNING.format(signed_in_as=escape(signed_in_as)) if signed_in_as else "",
    )
    return _SHELL.format(head="", title=f"Connect {escape(source)}", style=STYLE, body=body)


def onward_page(*, source: str, address: str) -> str:
    """A page that goes on to `address` by itself.

    In place of a redirect: browsers hold every redirect that follows a form against the policy of the form's
    page, and which hosts a provider passes a browser through is not known here.
    """
    body = _ONWARD.format(source=escape(source), address=escape(address))
    head = f'<meta http-equiv="refresh" content="0;url={escape(address)}">\n'
    return _SHELL.format(head=head, title=f"Taking you to {escape(source)}", style=STYLE, body=body)
