"""The one page of connecting: who is about to be connected to what, and a question."""

from html import escape

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Connect {source}</title><style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem; color: #1a1a1a }}
dl {{ display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; padding: 1rem; background: #f4f4f2; border-radius: .5rem }}
dt {{ color: #595959 }} dd {{ margin: 0; font-weight: 600; overflow-wrap: anywhere }}
button, a.no {{ font: inherit; padding: .5rem 1rem; border-radius: .5rem; border: 1px solid #1a1a1a; text-decoration: none }}
button {{ background: #1a1a1a; color: #fff; cursor: pointer }} a.no {{ color: inherit; margin-left: .5rem }}
.warning {{ border-left: .25rem solid #b3261e; padding-left: .75rem }}
</style></head><body><main>
<h1>Connect {source}?</h1>
{warning}
<p>What your {source} account can read will be copied into this workspace, where its members can search it.</p>
<dl><dt>Workspace</dt><dd>{workspace}</dd><dt>Requested by</dt><dd>{account}</dd></dl>
<p>Continue only if you started this yourself and recognise both.</p>
<form method="post" action="{action}">
<input type="hidden" name="ticket" value="{ticket}"><input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit">Continue to {source}</button><a class="no" href="{cancel}">Cancel</a>
</form></main></body></html>
"""

_WARNING = (
    '<p class="warning">You are signed in here as <strong>{signed_in_as}</strong>, '
    "but this request comes from another account.</p>"
)


def confirmation_page(
    *,
    source: str,
    workspace: str,
    account: str,
    action: str,
    ticket: str,
    confirmation: str,
    cancel: str,
    signed_in_as: str | None,
) -> str:
    """The page, everything escaped; `signed_in_as` is set when the browser is known to be somebody else's."""
    return _PAGE.format(
        source=escape(source),
        workspace=escape(workspace),
        account=escape(account),
        action=escape(action),
        ticket=escape(ticket),
        confirmation=escape(confirmation),
        cancel=escape(cancel),
        warning=_WARNING.format(signed_in_as=escape(signed_in_as)) if signed_in_as else "",
    )
