"""A fleet of real clients on a server that is killed, drained and cut off, and a checker that counts what they saw."""
