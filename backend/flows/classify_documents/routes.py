"""POST /api/documents/{id}/classify, POST /api/documents/classify."""

from collections import Counter
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.db.transaction import Session
from backend.documents.classification import SURE, UNKNOWN
from backend.documents.models import Document
from backend.documents.repository import DocumentNotFound, DocumentRepository
from backend.documents.review.repository import ReviewRepository
from backend.documents.views import Classification, DocumentPath, DocumentWhole, whole_of
from backend.flows.classify_documents.flow import Finding, find_classification
from backend.web import Answer, answer, editor, services

api = APIBlueprint(
    "classify_documents", __name__, abp_tags=[Tag(name="documents", description="What is known")]
)


class Many(BaseModel):
    document_ids: list[UUID] | None = Field(
        None, max_length=200, description="null: those nobody has decided on and nothing is known of"
    )
    limit: int = Field(50, ge=1, le=200)
    auto_confirm_threshold: float | None = Field(
        None, ge=0, le=1, description="Confirm in your name what is at least so certain"
    )


class FindingView(BaseModel):
    classification: Classification
    confidence: float = Field(ge=0, le=1)
    reason: str
    key_indicators: list[str]
    is_borderline: bool
    by: str = Field(description="model or rules")


class ClassifiedOne(Answer):
    document: DocumentWhole
    classification: FindingView


class Counts(BaseModel):
    total: int
    work: int
    personal: int
    spam: int
    unknown: int
    auto_confirmed: int
    needs_review: int
    errors: int = Field(description="Those that are not there, or on which a person has decided")


class ClassifiedMany(Answer):
    results: Counts


@api.post("/api/documents/<document_id>/classify", responses={200: ClassifiedOne})
def classify_one(path: DocumentPath) -> Response:
    """Find out what a document is: by the language model, if there is one, else by the rules.

    What a person has decided stays.
    """
    who = editor()
    s = services()
    with s.db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, path.document_id)
    finding = find_classification(s.chat_model, document)
    with s.db.transaction(who.tenant_id) as session:
        _store(session, who.tenant_id, document, finding)
    with s.db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, path.document_id)
    return answer(ClassifiedOne(document=whole_of(document), classification=_view(finding)))


@api.post("/api/documents/classify", responses={200: ClassifiedMany})
def classify_many(body: Many) -> Response:
    """The same for many, each in a transaction of its own; what is done stays done if the request is cut off."""
    who = editor()
    s = services()
    with s.db.transaction(who.tenant_id) as session:
        review = ReviewRepository(session)
        ids = body.document_ids
        if ids is None:
            ids = list(review.list_undecided(who.tenant_id, limit=body.limit))
    ids = list(dict.fromkeys(ids))[: body.limit]
    counts: Counter[str] = Counter()
    for document_id in ids:
        try:
            with s.db.transaction(who.tenant_id) as session:
                document = DocumentRepository(session).get(who.tenant_id, document_id)
        except DocumentNotFound:
            counts["errors"] += 1
            continue
        finding = find_classification(s.chat_model, document)
        found = finding.classified
        is_certain = (
            body.auto_confirm_threshold is not None
            and found.classification != UNKNOWN
            and found.confidence >= body.auto_confirm_threshold
        )
        with s.db.transaction(who.tenant_id) as session:
            if not _store(session, who.tenant_id, document, finding):
                counts["errors"] += 1
                continue
            if is_certain:
                ReviewRepository(session).confirm(who.tenant_id, [document_id], by=who.user_id)
        counts[found.classification] += 1
        counts["auto_confirmed"] += is_certain
        counts["needs_review"] += not is_certain and (
            found.classification == UNKNOWN or found.confidence < SURE
        )
    return answer(
        ClassifiedMany(
            results=Counts(
                total=len(ids),
                **{name: counts[name] for name in Counts.model_fields if name != "total"},
            )
        )
    )


def _store(session: Session, tenant_id: UUID, document: Document, finding: Finding) -> bool:
    """Whether it could be: not if a person has decided, or what was looked at has changed or is gone."""
    review = ReviewRepository(session)
    if finding.by == "model":
        return review.judge(tenant_id, document.id, document.content_sha256, finding.classified)
    return bool(review.classify(tenant_id, {document.id: finding.classified}))


def _view(finding: Finding) -> FindingView:
    found = finding.classified
    return FindingView(
        classification=found.classification,
        confidence=found.confidence,
        reason=found.reason,
        key_indicators=[found.reason],
        is_borderline=found.classification == UNKNOWN or found.confidence < SURE,
        by=finding.by,
    )
