"""The REST API, one file a subject."""
