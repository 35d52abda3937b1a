"""What users write: frozen pydantic models of every kind, the source of `crds/`. No behaviour."""
