"""The two pages of connecting: who is about to be connected to what, and the way on to the provider."""

from html import escape

from backend.pages import page

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
    return page(f"Connect {source}", body)


def onward_page(*, source: str, address: str) -> str:
    """A page that goes on to `address` by itself.

    In place of a redirect: browsers hold every redirect that follows a form against the policy of the form's
    page, and which hosts a provider passes a browser through is not known here.
    """
    body = _ONWARD.format(source=escape(source), address=escape(address))
    head = f'<meta http-equiv="refresh" content="0;url={escape(address)}">\n'
    return page(f"Taking you to {source}", body, head=head)
