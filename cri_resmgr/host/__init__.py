"""What the machine is: topology, where devices are, what a control group allows; read only, below a root directory.

Decides nothing and writes nothing.  Whoever calls it gets values: `grids` makes machines that do not exist.
"""
