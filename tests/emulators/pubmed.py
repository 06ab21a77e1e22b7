"""PubMed's E-utilities, as NCBI describes them (https://www.ncbi.nlm.nih.gov/books/NBK25499/ and NLM's DTD of June 2025).

Answers `esearch.fcgi` (JSON) and `efetch.fcgi` (XML) for the articles a test writes down. Searching is not PubMed's: a
search finds all articles, in their order.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs

from tests.emulators.scripted import Reply, Request, json_reply

HEAD = (
    '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st June 2025//EN" '
    '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">\n<PubmedArticleSet>'
)


def article(
    pmid: str, title: str, *, abstract: str = "<AbstractText>Found.</AbstractText>", more: str = ""
) -> str:
    """A record with the parts every record has; `more` goes into its MedlineCitation."""
    return f"""
<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM"><PMID Version="1">{pmid}</PMID>
<DateRevised><Year>2025</Year><Month>07</Month><Day>09</Day></DateRevised>
<Article PubModel="Print"><Journal><ISSN IssnType="Electronic">1234-5678</ISSN><JournalIssue CitedMedium="Internet">
<Volume>12</Volume><Issue>3</Issue><PubDate><Year>2024</Year><Month>Mar</Month></PubDate></JournalIssue>
<Title>Journal of Examples</Title></Journal><ArticleTitle>{title}</ArticleTitle>
<Pagination><MedlinePgn>101-9</MedlinePgn></Pagination><Abstract>{abstract}</Abstract>
<AuthorList CompleteYN="Y"><Author ValidYN="Y"><LastName>Curie</LastName><ForeName>Marie</ForeName>
<Initials>M</Initials></Author><Author ValidYN="Y"><CollectiveName>Example Group</CollectiveName></Author></AuthorList>
<Language>eng</Language><PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType>
</PublicationTypeList></Article>{more}</MedlineCitation>
<PubmedData><ArticleIdList><ArticleId IdType="pubmed">{pmid}</ArticleId>
<ArticleId IdType="doi">10.1000/{pmid}</ArticleId></ArticleIdList>
<ReferenceList><Reference><Citation>Another one.</Citation><ArticleIdList><ArticleId IdType="doi">10.1000/other</ArticleId>
<ArticleId IdType="pmc">PMC999</ArticleId></ArticleIdList></Reference></ReferenceList></PubmedData></PubmedArticle>"""


@dataclass
class PubMed:
    """The articles there are, by PMID."""

    articles: dict[str, str] = field(default_factory=dict)
    api_key: str | None = None
    """The key that is accepted; any other one is refused."""
    forms: list[dict[str, str]] = field(default_factory=list)
    """What was sent, in order."""
    found: list[str] | None = None
    """What searches find; None for all articles."""

    def __call__(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.forms.append(form)
        if "api_key" in form and form["api_key"] != self.api_key:
            return json_reply({"error": "API key invalid", "api-key": form["api_key"]}, 400)
        if request.path == "/entrez/eutils/esearch.fcgi":
            ids = (list(self.articles) if self.found is None else self.found)[: int(form["retmax"])]
            result = {"count": str(len(ids)), "retmax": form["retmax"], "retstart": "0", "idlist": ids}
            return json_reply({"header": {"type": "esearch", "version": "0.3"}, "esearchresult": result})
        if request.path == "/entrez/eutils/efetch.fcgi":
            records = "".join(self.articles.get(pmid, "") for pmid in form["id"].split(","))
            return Reply(200, f"{HEAD}{records}</PubmedArticleSet>".encode(), {"content-type": "text/xml"})
        return Reply(404)
