"""The grammar of RFC 6455, the server's side, as values and pure functions: no socket is seen here.

:mod:`.handshake` reads the request and makes its answer, :mod:`.reader` turns bytes into messages,
:mod:`.frames` makes bytes of what is sent. Extensions are never negotiated: compression would cost memory
for each connection, and opens it to bombs and to CRIME.
"""
