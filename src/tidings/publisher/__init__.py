"""Publish from any Python program: Django, Flask, Celery, a script.

    publisher = Publisher("https://live.example.com", key)
    publisher.publish("gift-list:123", "UPDATED", entity_id=gift.id, payload=gift)

The server is a ``tidings serve``, or an application that has mounted Tidings with an API key. :class:`Publisher` is for
synchronous code and safe in threads and after a fork, :class:`AsyncPublisher` its asynchronous twin.
"""

from tidings.publisher.asynchronous import AsyncPublisher
from tidings.publisher.faults import Refused, Unreachable
from tidings.publisher.synchronous import Publisher

__all__ = ["AsyncPublisher", "Publisher", "Refused", "Unreachable"]
