"""/api/documents: what a person decides: reclassify, confirm, reject, one or many."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.documents.repository import DocumentNotFound, DocumentRepository
from backend.documents.review.repository import ReviewRepository
from backend.documents.views import Classification, DocumentPath, DocumentWhole, whole_of
from backend.web import Answer, answer, editor, services

api = APIBlueprint("review", __name__, abp_tags=[Tag(name="documents", description="What is known")])

_MOST = 500


class Classifying(BaseModel):
    classification: Classification


class Confirming(BaseModel):
    classification: Classification | None = Field(None, description="null: what it is taken for")


class Rejecting(BaseModel):
    reason: str | None = Field(None, max_length=1000)


class BulkClassifying(Classifying):
    document_ids: list[UUID] = Field(max_length=_MOST)


class BulkConfirming(Confirming):
    document_ids: list[UUID] = Field(max_length=_MOST)


class BulkRejecting(Rejecting):
    document_ids: list[UUID] = Field(max_length=_MOST)


class DocumentAnswer(Answer):
    document: DocumentWhole


class Classified(Answer):
    updated_count: int
    classification: Classification


class ConfirmedCount(BaseModel):
    confirmed: int
    not_found: int
    errors: list[str] = Field(default_factory=list)


class RejectedCount(BaseModel):
    rejected: int
    not_found: int
    errors: list[str] = Field(default_factory=list)


class ConfirmedMany(Answer):
    results: ConfirmedCount


class RejectedMany(Answer):
    results: RejectedCount


@api.put("/api/documents/<document_id>/classify", responses={200: DocumentAnswer})
def put_classification(path: DocumentPath, body: Classifying) -> Response:
    """Say what a document is; personal and spam are out of search at once."""
    return _decided(path.document_id, body.classification)


@api.post("/api/documents/<document_id>/reclassify", responses={200: DocumentAnswer})
def reclassify(path: DocumentPath, body: Classifying) -> Response:
    """The same."""
    return _decided(path.document_id, body.classification)


@api.post("/api/documents/<document_id>/confirm", responses={200: DocumentAnswer})
def confirm(path: DocumentPath, body: Confirming) -> Response:
    """Say that a document is what it is taken for, or what else."""
    return _decided(path.document_id, body.classification)


@api.post("/api/documents/<document_id>/reject", responses={200: Answer})
def reject(path: DocumentPath, body: Rejecting) -> Response:
    """Say that a document does not belong here: it stays, out of search at once."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        rejected = ReviewRepository(session).reject(
            who.tenant_id, [path.document_id], by=who.user_id, note=body.reason
        )
        if not rejected:
            raise DocumentNotFound
    return answer(Answer())


@api.post("/api/documents/bulk/classify", responses={200: Classified})
def bulk_classify(body: BulkClassifying) -> Response:
    """Say what many documents are."""
    found = _decide(body.document_ids, body.classification)
    return answer(Classified(updated_count=len(found), classification=body.classification))


@api.post("/api/documents/bulk/confirm", responses={200: ConfirmedMany})
def bulk_confirm(body: BulkConfirming) -> Response:
    """Say that many documents are what they are taken for, or what else."""
    found = _decide(body.document_ids, body.classification)
    missing = len(set(body.document_ids)) - len(found)
    return answer(ConfirmedMany(results=ConfirmedCount(confirmed=len(found), not_found=missing)))


@api.post("/api/documents/bulk/reject", responses={200: RejectedMany})
def bulk_reject(body: BulkRejecting) -> Response:
    """Say that many documents do not belong here."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        found = ReviewRepository(session).reject(
            who.tenant_id, body.document_ids, by=who.user_id, note=body.reason
        )
    missing = len(set(body.document_ids)) - len(found)
    return answer(RejectedMany(results=RejectedCount(rejected=len(found), not_found=missing)))


def _decided(document_id: UUID, classification: str | None) -> Response:
    if not _decide([document_id], classification):
        raise DocumentNotFound
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, document_id)
    return answer(DocumentAnswer(document=whole_of(document)))


def _decide(document_ids: Sequence[UUID], classification: str | None) -> Sequence[UUID]:
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        review = ReviewRepository(session)
        if classification is None:
            return review.confirm(who.tenant_id, document_ids, by=who.user_id)
        return review.reclassify(who.tenant_id, document_ids, classification, by=who.user_id)
