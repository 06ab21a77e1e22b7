"""Rules: only mail hides, only for a reason its source gives, in whatever language."""

from typing import Any

import pytest

from backend.documents.classification import classify


def mail(title: str = "Lunch", author: str = "ada@engines.example", **metadata: Any) -> str:
    return classify(source_type="email", title=title, author=author, metadata=metadata).classification


@pytest.mark.parametrize(
    "label", ["SPAM", "Junk", "Junk E-mail", "Courrier indésirable", "Спам", "迷惑メール"]
)
def test_mail_kept_as_spam_is_spam(label: str) -> None:
    assert mail(labels=["INBOX", label]) == "spam"


@pytest.mark.parametrize("title", ["[SPAM] Win now", "***SPAM*** Gewinn", "{Spam?} x"])
def test_mail_marked_by_a_filter_is_spam(title: str) -> None:
    assert mail(title) == "spam"


@pytest.mark.parametrize("label", ["Personal", "Privat", "Family/Private", "личное", "個人"])
def test_mail_labelled_personal_by_its_owner_is_personal(label: str) -> None:
    assert mail(labels=[label], recipients=["bob@engines.example"]) == "personal"


@pytest.mark.parametrize(
    "labels",
    [["CATEGORY_PERSONAL"], ["Personal injury law"], ["Spam filter project"], ["Privatisation"], [None, 3]],
)
def test_label_that_only_contains_such_a_word_says_nothing(labels: list[object]) -> None:
    assert mail(author="a@gmail.com", labels=labels) == "unknown"


def test_labels_that_disagree_decide_nothing() -> None:
    assert mail(labels=["Personal", "Work"]) == "unknown"


def test_mail_between_people_of_one_organisation_is_work() -> None:
    assert mail(recipients=["Bob@Engines.example"]) == "work"
    assert mail(author="a@gmail.com", recipients=["b@gmail.com"]) == "unknown"
    assert mail(recipients=["ada@engines.example"], participants=["ada@engines.example"]) == "unknown"


@pytest.mark.parametrize(
    "title",
    [
        "Happy birthday, mum!",
        "Unsubscribe from spam",
        "FREE MONEY!!!",
        "Alles Gute zum Geburtstag",
        "生日快乐",
    ],
)
def test_words_of_a_text_never_hide_it(title: str) -> None:
    assert mail(title, author="someone@gmail.com") == "unknown"


@pytest.mark.parametrize("source", ["file", "github", "box", "google_drive", "onedrive", "webscraper"])
def test_nothing_but_mail_is_ever_hidden(source: str) -> None:
    found = classify(
        source_type=source, title="[SPAM] x", author="x", metadata={"labels": ["spam", "private"]}
    )
    assert found.classification == "work"
    assert found.confidence > 0.5


def test_chat_is_work_where_everybody_reads_it_and_unknown_elsewhere() -> None:
    def chat(**metadata: Any) -> str:
        return classify(source_type="slack", title="x", author=None, metadata=metadata).classification

    assert chat(channel="general", is_private=False) == "work"
    assert chat(channel="family", is_private=True) == "unknown"
