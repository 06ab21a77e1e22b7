"""Claims compared within one analysis, and only within it."""

import threading
from uuid import UUID

from backend.knowledge.claims import ClaimsVerifier

ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


def states(verifier: ClaimsVerifier) -> list[tuple[str, str]]:
    return [(v.claim.object, v.state) for v in verifier.verdicts()]


def test_add_finds_support_and_contradiction() -> None:
    verifier = ClaimsVerifier()
    assert verifier.add("Ada owns the parser.", ONE) == 1
    assert verifier.add("The parser is owned by ADA.", TWO) == 1
    assert verifier.add("The team uses Redis.", ONE) == 1
    assert verifier.add("The team no longer uses Redis.", THREE) == 1
    assert verifier.add("What a day!", THREE) == 0
    support, contradiction = verifier.verdicts()
    assert support.state == "supported"
    assert support.asserted_by == {ONE, TWO}
    assert contradiction.state == "contradicted"
    assert contradiction.asserted_by == {ONE}
    assert contradiction.denied_by == {THREE}


def test_add_compares_no_sentences_that_merely_begin_alike() -> None:
    verifier = ClaimsVerifier()
    verifier.add("The team uses Postgres.", ONE)
    verifier.add("The team does not use Redis.", TWO)
    verifier.add("The team never approved the plan.", THREE)
    assert states(verifier) == [("Postgres", "single"), ("Redis", "single"), ("the plan", "single")]


def test_add_counts_a_choice_against_an_alternative_as_both() -> None:
    verifier = ClaimsVerifier()
    verifier.add("We chose Postgres, not MySQL.", ONE)
    verifier.add("We chose MySQL.", TWO)
    assert states(verifier) == [("Postgres", "single"), ("MySQL", "contradicted")]


def test_add_takes_no_plan_for_a_fact() -> None:
    verifier = ClaimsVerifier()
    assert verifier.add("We may drop MySQL.", ONE) == 0
    assert verifier.add("We must not drop MySQL.", TWO) == 0
    assert verifier.verdicts() == []


def test_one_document_repeating_itself_is_no_support() -> None:
    verifier = ClaimsVerifier()
    verifier.add("Ada owns the parser.", ONE)
    verifier.add("Ada owns the parser.", ONE)
    assert states(verifier) == [("the parser", "single")]


def test_concurrent_analyses_share_nothing() -> None:
    """Two analyses at the same time, of the same claims with opposite signs, step by step in turn."""
    turns = threading.Barrier(2)
    found: dict[str, list[tuple[str, str]]] = {}

    def analyse(name: str, sentence: str) -> None:
        verifier = ClaimsVerifier()
        for number in range(200):
            turns.wait(30)
            verifier.add(sentence.format(number), ONE)
        turns.wait(30)
        found[name] = states(verifier)

    threads = [
        threading.Thread(target=analyse, args=("yes", "Ada owns part {}.")),
        threading.Thread(target=analyse, args=("no", "Ada does not own part {}.")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found["yes"] == found["no"] == [(f"part {n}", "single") for n in range(200)]
    assert ClaimsVerifier().verdicts() == []
