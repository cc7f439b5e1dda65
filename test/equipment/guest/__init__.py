"""A machine with several packages, NUMA nodes and cgroup v2, on one that has none of it: QEMU without KVM.

What a policy decides is tested everywhere else; here the kernel itself says what a container got, in
`Cpus_allowed_list`, `Mems_allowed_list` and `cpuset.cpus.effective`.  Emulated code is about twenty times slower, so
a guest is booted once, made ready, and saved: each test goes on from there on a copy, half a second later.

    topologies     which machines there are
    kernel, image  what they boot: Debian's kernel, and the root file system that the sandboxes have, too
    command        the command line of QEMU
    emulator       QEMU as a process: its monitor, its port for jobs
    guest          a guest that runs: jobs, files, programs
    snapshots      a booted one, ready for pods, from which any number of guests goes on
    payload        the disk with the code under test
    node           a guest as a node: the daemon under test, calls to it, what containers got
    inside/        what runs in there: inits, the agent that does the jobs, gRPC calls

A guest that stops answering is `Lost`: that says nothing about the code under test, and the test may be tried once
more on a fresh one.  A job that takes too long is the job's own failure.
"""


class Lost(Exception):  # noqa: N818 - said of the guest
    """The guest has ended, or has stopped answering."""


class JobFailed(Exception):  # noqa: N818 - said of the job
    """The guest answers, and what was asked of it has failed."""
