"""One controller a kind: it gathers what the kind's decision needs to see, and asks the core to decide."""
