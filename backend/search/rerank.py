"""A second opinion on the order of passages: a cross-encoder behind the `/rerank` interface of Cohere, Jina and vLLM, or
of Text Embeddings Inference. It reads the question and a passage together, which no index can."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx2

from backend.errors import Unavailable

#: Passages it is given; search has ranked them, so what is further down is seldom worth the time.
CANDIDATES: Final = 50
_TIMEOUT: Final = httpx2.Timeout(10, connect=3)
_MAX_CHARACTERS: Final = 4_000


class RerankerUnavailable(Unavailable):
    """The reranker does not answer right now."""


@dataclass(frozen=True, slots=True)
class Reranker:
    """`model` at any server that answers `POST {base_url}/rerank`; `api_key` may be missing.

    `client` is shared and thread-safe; its owner closes it. It is asked once: without it there is an order as well.
    """

    base_url: str = field(repr=False)
    model: str
    api_key: str | None = field(repr=False)
    client: httpx2.Client = field(repr=False)

    def rate(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each of `texts` answers `question`, higher is better; only their order means something.

        Raises RerankerUnavailable.
        """
        cut = [text[:_MAX_CHARACTERS] for text in texts]
        body: dict[str, Any] = {"model": self.model, "query": question, "top_n": len(cut)}
        try:
            response = self._post({**body, "documents": cut})
            if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
                # Text Embeddings Inference has another name for them.
                response = self._post({"query": question, "texts": cut})
            if response.status_code != httpx2.codes.OK:
                raise RerankerUnavailable(
                    f"The reranker refused the request (status {response.status_code})."
                )
            return _scores(response.json(), len(cut))
        except httpx2.HTTPError as error:
            raise RerankerUnavailable from error
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise RerankerUnavailable("The reranker's answer is malformed.") from error

    def _post(self, body: dict[str, Any]) -> httpx2.Response:
        return self.client.post(
            f"{self.base_url.rstrip('/')}/rerank",
            json=body,
            headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            timeout=_TIMEOUT,
        )


def _scores(answer: Any, count: int) -> list[float]:
    """One score for each text, whichever of the two shapes the answer has. Raises ValueError for another one."""
    rows = answer["results"] if isinstance(answer, dict) else answer
    scores: dict[int, float] = {}
    for row in rows:
        score = row["relevance_score"] if "relevance_score" in row else row["score"]
        scores[int(row["index"])] = float(score)
    if sorted(scores) != list(range(count)) or any(score != score for score in scores.values()):
        raise ValueError("not one score for each text")
    return [scores[place] for place in range(count)]
