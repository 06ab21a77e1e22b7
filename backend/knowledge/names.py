"""What counts as the same spelling of a name; never whether it is the same person."""

import unicodedata


def name_key(name: str) -> str:
    """`name` for comparing: compatibility forms (NFKC), case and white space folded; accents stay.

    José and Jose are different names, `ＪＯＳＥ` and `jose` are one.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())
