"""The benchmark: Tidings beside its peers, the same work for all, in one run. ``python -m bench --help``."""
