"""Asks for it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from backend.configs.schemas import ParserConfig
from backend.db.transaction import Session
from backend.documents.cuts.repository import CutRepository, Wanted, cut_as
from backend.jobs.repository import JobRepository

#: Jobs of this kind cut documents anew.
RECUT_KIND: Final = "recut_documents"


@dataclass(frozen=True, slots=True)
class Asked:
    """`job_id` is the job's that cuts anew, None if there is nothing to do; `document_count`: to be cut."""

    job_id: UUID | None
    document_count: int


def apply_parser(session: Session, tenant_id: UUID, config: ParserConfig) -> Asked:
    """Has every document cut as `config` says. Again while that is under way, and nothing more happens."""
    outdated = CutRepository(session).count_outdated(tenant_id, wanted_cuts(config))
    jobs = JobRepository(session)
    job_id = jobs.find_unfinished(tenant_id, RECUT_KIND)
    if job_id is None and outdated:
        job_id = jobs.enqueue(tenant_id, RECUT_KIND, {}, priority=-1)
    return Asked(job_id, outdated)


def wanted_cuts(config: ParserConfig) -> Wanted:
    """What a document says that was cut as `config` wants it."""
    characters, overlap = config.chunk_characters, config.chunk_overlap
    return Wanted(cut_as(characters, overlap), cut_as(characters, overlap, config.max_characters))
