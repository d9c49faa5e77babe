"""A family's gift lists: the example app of Tidings. Start with `main.py`."""
