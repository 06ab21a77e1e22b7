"""What a route says of itself: who may call it, and how. `app.py` looks at it before the route is called."""

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def public(view: View) -> View:
    """Marks a route that needs no sign-in."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def cookie_allowed(view: View) -> View:
    """Marks a reading route that the session cookie opens too, because a browser cannot send a header there."""
    view.access = "cookie"  # type: ignore[attr-defined]
    return view


def form_allowed(view: View) -> View:
    """Marks a route that a form of our own pages leads to: the session cookie opens it together with the form's
    confirmation, which only a page shown in that session has."""
    view.access = "form"  # type: ignore[attr-defined]
    return view


def folder_allowed(view: View) -> View:
    """The same of a form that is read part by part because it may be large: the route itself has to look for the
    confirmation, before anything else."""
    view.access = "folder"  # type: ignore[attr-defined]
    return view


def session_only(view: View) -> View:
    """Marks a route that no API key opens: what manages sessions and keys."""
    view.session_only = True  # type: ignore[attr-defined]
    return view


def shows_pages(view: View) -> View:
    """Marks a route that people open in a browser: who asks for HTML is refused with a page, and asked to sign in."""
    view.shows_pages = True  # type: ignore[attr-defined]
    return view


def only_reads(view: View) -> View:
    """Marks a route that changes nothing though it is a POST: the scope `read` is enough for it."""
    view.only_reads = True  # type: ignore[attr-defined]
    return view
