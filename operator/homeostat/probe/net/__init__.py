"""How a conversation with a target comes to be: guard, resolver, connections, TLS, deadlines."""
