"""How we speak to the API server: client, server-side apply, leases, events, actions."""
