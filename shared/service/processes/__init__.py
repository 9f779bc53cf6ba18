"""Child processes of a service or a program.

`process` starts one in a session of its own, which ends with its parent; `supervisor` restarts those that
end, by `restart_policy`; `workers` runs several of one service behind one port; `free_ports` picks ports.
"""
