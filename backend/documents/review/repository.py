"""Decide on documents: classify (rules, models), confirm, reject."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, select, text, update
from sqlalchemy.orm import Session

from backend.documents.classification import SURE, UNKNOWN, Classified
from backend.documents.models import Document

_TENANTS: Final = f"""
    SELECT t.id FROM tenants AS t
    WHERE t.deactivated_at IS NULL AND t.id <> ALL (CAST(:without AS uuid[])) AND EXISTS (
        SELECT FROM documents AS d
        WHERE d.tenant_id = t.id AND d.deleted_at IS NULL AND d.status = 'classified'
          AND d.classification_confidence < {SURE} AND NOT d.is_judged)
    LIMIT :limit
"""  # noqa: S608 - put together from constants


class ReviewRepository:
    """Decisions on documents of one tenant, within the caller's transaction.

    Each method returns the ids it has found; what is deleted or somebody else's is not found.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def classify(self, tenant_id: UUID, found: Mapping[UUID, Classified]) -> Sequence[UUID]:
        """Stores what the rules found; documents on which a person has decided stay as they are. A model may be asked anew."""
        written: list[UUID] = []
        # In one order for everybody, so that two of these never wait for each other in a circle.
        for document_id in sorted(found):
            one = found[document_id]
            written += self._session.scalars(
                update(Document)
                .where(*_there(tenant_id, [document_id]), Document.status == "classified")
                .values(
                    classification=one.classification,
                    classification_confidence=one.confidence,
                    classification_reason=one.reason,
                    is_judged=False,
                )
                .returning(Document.id)
            )
        return written

    def find_unjudged(self, tenant_id: UUID) -> Document | None:
        """A document that the rules are not sure of, that nobody has decided on and no model was asked about as it is now."""
        return self._session.scalar(
            select(Document)
            .where(Document.tenant_id == tenant_id, *_unjudged())
            .order_by(Document.id)
            .limit(1)
        )

    def judge(
        self, tenant_id: UUID, document_id: UUID, content_sha256: bytes, found: Classified | None
    ) -> bool:
        """Stores what a model says of that content, None if nothing; False if it has changed meanwhile, is deleted, or a
        person has decided."""
        values: dict[str, object] = {"is_judged": True}
        if found is not None:
            values |= {
                "classification": found.classification,
                "classification_confidence": found.confidence,
                "classification_reason": found.reason,
            }
        judged = self._session.scalar(
            update(Document)
            .where(
                *_there(tenant_id, [document_id]),
                Document.status == "classified",
                Document.content_sha256 == content_sha256,
            )
            .values(**values)
            .returning(Document.id)
        )
        return judged is not None

    def reclassify(
        self, tenant_id: UUID, document_ids: Collection[UUID], classification: str, *, by: UUID
    ) -> Sequence[UUID]:
        """A person says what they are."""
        return self._decide(
            tenant_id,
            document_ids,
            by=by,
            status="confirmed",
            classification=classification,
            classification_confidence=1.0,
            classification_reason="A person has decided it.",
            review_note=None,
        )

    def confirm(self, tenant_id: UUID, document_ids: Collection[UUID], *, by: UUID) -> Sequence[UUID]:
        """A person says that they are what they are taken for."""
        return self._decide(
            tenant_id,
            document_ids,
            by=by,
            status="confirmed",
            classification_confidence=1.0,
            review_note=None,
        )

    def reject(
        self, tenant_id: UUID, document_ids: Collection[UUID], *, by: UUID, note: str | None = None
    ) -> Sequence[UUID]:
        """A person says that they do not belong here: they stay, out of search."""
        return self._decide(tenant_id, document_ids, by=by, status="rejected", review_note=note)

    def list_undecided(self, tenant_id: UUID, *, limit: int) -> Sequence[UUID]:
        """Ids of documents that nobody has decided on and whose classification is not known, the oldest first."""
        return self._session.scalars(
            select(Document.id)
            .where(
                Document.tenant_id == tenant_id,
                Document.deleted_at.is_(None),
                Document.status == "classified",
                Document.classification == UNKNOWN,
            )
            .order_by(Document.created_at, Document.id)
            .limit(limit)
        ).all()

    def _decide(
        self, tenant_id: UUID, document_ids: Collection[UUID], *, by: UUID, **values: object
    ) -> Sequence[UUID]:
        # Locked in one order for everybody, so that two bulk decisions never wait for each other in a circle.
        locked = self._session.scalars(
            select(Document.id)
            .where(*_there(tenant_id, document_ids))
            .order_by(Document.id)
            .with_for_update(key_share=True)
        ).all()
        self._session.execute(
            update(Document)
            .where(*_there(tenant_id, locked))
            .values(reviewed_by=by, reviewed_at=func.now(), **values)
        )
        return locked


def _there(tenant_id: UUID, document_ids: Collection[UUID]) -> tuple[ColumnElement[bool], ...]:
    return (
        Document.tenant_id == tenant_id,
        Document.id == func.any(list(document_ids)),
        Document.deleted_at.is_(None),
    )


def list_tenants_with_unjudged(session: Session, *, without: Collection[UUID], limit: int) -> Sequence[UUID]:
    """Tenants that have such documents, but for `without`; an operator transaction's."""
    return session.scalars(text(_TENANTS), {"without": list(without), "limit": limit}).all()


def _unjudged() -> tuple[ColumnElement[bool], ...]:
    return (
        Document.deleted_at.is_(None),
        Document.status == "classified",
        # As in the index that finds them.
        Document.classification_confidence < literal_column(str(SURE)),
        ~Document.is_judged,
    )
