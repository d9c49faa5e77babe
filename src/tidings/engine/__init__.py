"""Where the core meets await: one driver for every transport and every broker, and none named here.

:mod:`.connection` runs a session's effects, :mod:`.feeds` keeps the broker subscribed to what the hub
listens to, :mod:`.publisher` is the way in, :mod:`.ticker` owns the one timer, :mod:`.node` joins them.
"""
