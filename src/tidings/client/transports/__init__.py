"""The client's transports: each brings the server's frames to the machine, and the machine's frames to the server."""
