"""Signing in on a page of our own, for links that a browser opens without the client's access token.

The page's form carries what only this browser was given, for one return address: another site can neither send it nor
choose where it leads (a browser signed in to a stranger's account would hand over what its owner writes there).
"""

import re
import secrets
from html import escape
from typing import Final

from backend.errors import Forbidden
from backend.keyring import Keyring
from backend.pages import page

SIGN_IN: Final = "/api/auth/sign-in"
SIGN_UP: Final = "/api/auth/sign-up"
#: Holds what the form's confirmation is made for.
BROWSER_COOKIE: Final = "secondbrain_sign_in"
BROWSER_SECONDS: Final = 3600

_PURPOSE: Final = "sign-in"
#: What links from elsewhere lead to; nothing else is returned to.
_RETURN = re.compile(
    r"(?:/api/documents?/[A-Za-z0-9._~%/-]{1,200}|/api/desk(?:/ask|/files|/open)?)"
    r"(?:\?[A-Za-z0-9._~%&=+*-]{0,2400})?(?:#[A-Za-z0-9-]{0,50})?"
)

_FORM = """<h1>Sign in to go on</h1>
{message}
<form method="post" action="{action}">
<input type="hidden" name="next" value="{address}">
<input type="hidden" name="confirmation" value="{confirmation}">
<label>E-mail address<input type="email" name="email" value="{email}" autocomplete="username" required{at_email}></label>
<label>Password<input type="password" name="password" autocomplete="current-password" required{at_password}></label>
<button type="submit">Sign in</button>
</form>
<p class="note"><a href="{sign_up}">Create a workspace</a></p>"""


class SignInNotAsked(Forbidden):
    """This form was not shown in this browser, or too long ago; open the link again."""


def new_browser() -> str:
    """What a browser that has none yet is known by."""
    return secrets.token_urlsafe(32)


def return_address(address: str) -> str:
    """`address` if it is one of ours to return to, or the sign-in page itself."""
    return address if _RETURN.fullmatch(address) else SIGN_IN


def check_confirmed(keyring: Keyring, browser: str, address: str, confirmation: str) -> None:
    """Raises SignInNotAsked unless the form was shown to this browser, with this return address."""
    try:
        mac = bytes.fromhex(confirmation)
    except ValueError as error:
        raise SignInNotAsked from error
    if not browser or not keyring.mac_matches(_PURPOSE, _bound(browser, address), mac):
        raise SignInNotAsked


def sign_in_page(
    keyring: Keyring,
    browser: str,
    address: str,
    *,
    message: str = "",
    email: str = "",
    signed_in_as: str = "",
    made: str = "",
) -> str:
    """The form; `message` says why it is shown again, `signed_in_as` who is signed in already, `made` which workspace has
    just been made."""
    words = ""
    if made:
        words = f"<p><strong><bdi>{escape(made)}</bdi></strong> is ready, and you administer it.</p>"
    if signed_in_as:
        words += (
            f"<p>In this browser you are signed in as <strong><bdi>{escape(signed_in_as)}</bdi></strong>.</p>"
        )
    if message:
        words += f'<p class="warning" role="alert">{escape(message)}</p>'
    body = _FORM.format(
        message=words,
        action=SIGN_IN,
        sign_up=SIGN_UP,
        address=escape(address),
        confirmation=keyring.mac(_PURPOSE, _bound(browser, address)).hex(),
        email=escape(email),
        at_email="" if email else " autofocus",
        at_password=" autofocus" if email else "",
    )
    return page("Sign in", body)


def refusal_page(title: str, message: str, *, sign_in: str = "") -> str:
    """Why a link does not open; `sign_in` is where one can become somebody else."""
    body = f"<h1>{escape(title)}</h1>\n<p>{escape(message)}</p>"
    if sign_in:
        body += f'\n<p><a href="{escape(sign_in)}">Sign in with another account</a></p>'
    return page(title, body)


def _bound(browser: str, address: str) -> bytes:
    return f"{browser}\n{address}".encode(errors="replace")
