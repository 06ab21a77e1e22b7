"""How the page for a new workspace looks."""

from collections.abc import Mapping
from html import escape
from typing import Final

from backend.pages import page
from backend.tenants.passwords import MAX_LENGTH, MIN_LENGTH
from backend.tenants.sign_in import SIGN_IN, SIGN_UP

_FORM: Final = """<h1>Create a workspace</h1>
{message}
<form method="post" action="{action}">
<label>Your name<input name="full_name" value="{full_name}" autocomplete="name" maxlength="255" required autofocus></label>
<label>Organization<input name="organization_name" value="{organization_name}" autocomplete="organization" maxlength="255"></label>
<label>E-mail address<input type="email" name="email" value="{email}" autocomplete="username" maxlength="320" required></label>
<label>Password, {least} characters or more with upper and lower case and a digit<input type="password" name="password"
 autocomplete="new-password" minlength="{least}" maxlength="{most}" required></label>
<button type="submit">Create workspace</button>
</form>
<p class="note"><a href="{sign_in}">Sign in instead</a></p>"""


def sign_up_page(given: Mapping[str, str], *, next_page: str, message: str = "") -> str:
    """The form; `given` is what was filled in before, `message` why it is shown again."""
    body = _FORM.format(
        action=SIGN_UP,
        message=f'<p class="warning" role="alert">{escape(message)}</p>' if message else "",
        sign_in=f"{SIGN_IN}?next={next_page}",
        least=MIN_LENGTH,
        most=MAX_LENGTH,
        **{name: escape(given.get(name, "")) for name in ("full_name", "organization_name", "email")},
    )
    return page("Create a workspace", body)
