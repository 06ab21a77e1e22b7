"""A person connects a source, in four steps that may each happen on another instance.

1. `GET /api/integrations/{type}/auth` (with the access token) issues a nonce and answers with our own begin
   address, not the provider's: clients that keep their token in script have no cookie yet to be known by.
2. The browser goes to the begin address. It gets a binding cookie, and the nonce is bound to it, once. Where no
   session cookie proves that this browser belongs to who asked, a page first names the workspace and the account
   and asks; else a stranger's link would connect a victim's mail to the stranger's workspace.
3. The provider asks for consent and sends the browser back with our state.
4. The callback consumes the nonce, exchanges the code (PKCE) and seals the credentials.
"""
