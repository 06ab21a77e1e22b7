"""The rooms and where routes are: read by the app, by Alembic and by the guard tests.

Adding a room is one line in `ROOMS`, and one in `ROUTES` if it has an API of its own.
"""

#: Folders of `backend/` that own tables; each is one piece of shared state.
ROOMS = (
    "tenants",
    "oauth",
    "connectors",
    "jobs",
    "keys",
    "sync",
    "documents",
    "embeddings",
    "components",
    "configs",
    "ops",
    "limits",
    "knowledge",
    "chats",
    "searches",
)

#: Modules with an `api` blueprint.
ROUTES = (
    "backend.tenants.routes",
    "backend.tenants.api_keys.routes",
    "backend.tenants.sign_up.routes",
    "backend.documents.routes",
    "backend.documents.review.routes",
    "backend.documents.uploads.routes",
    "backend.configs.routes",
    "backend.flows.list_sources.routes",
    "backend.flows.connect_account.routes",
    "backend.flows.configure_source.routes",
    "backend.flows.schedule_sync.routes",
    "backend.flows.sync_connector.routes",
    "backend.flows.sync_history.routes",
    "backend.flows.receive_webhook.routes",
    "backend.flows.disconnect_source.routes",
    "backend.flows.follow_jobs.routes",
    "backend.flows.ask.routes",
    "backend.flows.desk.routes",
    "backend.chats.routes",
    "backend.searches.routes",
    "backend.flows.reembed.routes",
    "backend.flows.reload_parser.routes",
    "backend.flows.deactivate.routes",
    "backend.knowledge.routes",
    "backend.flows.delete_documents.routes",
    "backend.flows.upload_documents.routes",
    "backend.flows.classify_documents.routes",
)
