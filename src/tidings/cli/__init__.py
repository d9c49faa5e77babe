"""The command ``tidings``, one file a command.

What may enter: reading arguments, calling the rooms below, printing. Scripts read standard output, where
each command has ``--json``; what goes wrong is one line on standard error.
"""
