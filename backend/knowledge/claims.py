"""Compares what sentences claim, within one analysis: who supports a claim, who denies it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from backend.knowledge.frames import Frame, extract_frames
from backend.knowledge.names import name_key


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim (in its first wording) and the documents that make or deny it."""

    claim: Frame
    asserted_by: frozenset[UUID]
    denied_by: frozenset[UUID]

    @property
    def state(self) -> Literal["contradicted", "supported", "single"]:
        """Contradicted if asserted and denied, supported if several documents agree, else single."""
        if self.asserted_by and self.denied_by:
            return "contradicted"
        return "supported" if len(self.asserted_by | self.denied_by) > 1 else "single"


@dataclass(slots=True)
class _Said:
    claim: Frame
    asserted_by: set[UUID] = field(default_factory=set)
    denied_by: set[UUID] = field(default_factory=set)


class ClaimsVerifier:
    """The claims of one analysis: made for it, dropped with it, shared with nobody.

    Two claims are about the same thing if subject, verb and object are the same words; sentences that merely begin
    alike are not compared. What may, must or will be is no claim about what is.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[str, str, str], _Said] = {}

    def add(self, sentence: str, document_id: UUID) -> int:
        """Takes in what `sentence` of a document states; returns how many claims that were."""
        claims = [frame for frame in extract_frames(sentence) if frame.modality == "stated"]
        for claim in claims:
            key = (name_key(claim.subject), claim.verb, name_key(claim.object))
            said = self._said.setdefault(key, _Said(claim))
            (said.denied_by if claim.is_negated else said.asserted_by).add(document_id)
        return len(claims)

    def verdicts(self) -> Sequence[Verdict]:
        """Every claim, in the order in which they first came up."""
        return [
            Verdict(said.claim, frozenset(said.asserted_by), frozenset(said.denied_by))
            for said in self._said.values()
        ]
