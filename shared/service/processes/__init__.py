"""Child processes of a service or a program.

`process` starts a child in a separate session; the child ends with its parent. `supervisor` restarts children
that end, according to `restart_policy`. `workers` runs several processes of one service behind one port, and
`free_ports` picks ports.
"""
