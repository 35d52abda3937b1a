"""Who may do what, as the API server says: those who ask us, we ourselves, authors whom a policy vouches for."""
