"""Bytes in, Sink out. What enters this room is how one kind of connection is read and written, and no more:
who may connect is :mod:`.handshake`'s one decision, what frames mean is the core's.
"""
