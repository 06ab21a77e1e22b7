"""0032 made the making of lexemes faster; what is stored already must be found by the questions made with it."""

import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import TestDatabase

_VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
#: What the expressions look at, and some of what they do not.
_SIGNS = "aAbBxXéÉßſ0129.-_/ '\u2018\u2019\u02bc*`|~\n\t\u2026\u00a0\u00ab\u2192\u3000\ufe0f語🙂:@#(),%&"


def _before() -> str:
    spec = importlib.util.spec_from_file_location("migration", _VERSIONS / "0032_words_in_less_time.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.WORDS_BEFORE).replace("words_", "before_words_")


def test_lexemes_and_their_places_are_as_before(module_database: TestDatabase) -> None:
    with module_database.admin() as connection:
        connection.execute(_before().encode())

        @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(st.text(_SIGNS, min_size=1, max_size=60), min_size=20, max_size=60))
        def check(texts: list[str]) -> None:
            different = connection.execute(
                "SELECT t FROM unnest(%s::text[]) AS t WHERE words_as_written(t) <> before_words_as_written(t)"
                " OR words_of(t) <> before_words_of(t)",
                (texts,),
            ).fetchall()
            assert different == []

        check()
