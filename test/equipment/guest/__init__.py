"""A machine with several packages, NUMA nodes and cgroup v2, on one that has none of it: QEMU without KVM.

What a policy decides is tested everywhere else; here the kernel itself says what a container got, in
`Cpus_allowed_list`, `Mems_allowed_list` and `cpuset.cpus.effective`.  Emulated code is about twenty times slower, so
a guest is booted once, made ready, and saved: each test goes on from there on a copy, half a second later.

    topologies, inits   which machines there are, and how they come up
    kernel, libraries   parts of what they boot
    image               all of it: the root file system is that of the sandboxes
    command, emulator   QEMU: its command line, its process, its monitor, its port for jobs
    guest               a guest that runs: jobs, files, programs
    snapshots           a booted one, ready for pods, from which any number of guests goes on
    payload             the disk with the code under test
    calls               gRPC calls to a socket in the guest
    workloads, pods     pods as a kubelet makes them, and where the kernel lets them run
    node                the daemon under test and its pods
    stand               which guest a test gets
    inside/             what runs in there: inits, the agent that does the jobs, gRPC calls

A guest that stops answering is `Lost`: that says nothing about the code under test, and the test may be tried once
more on a fresh one.  A job that takes too long is the job's own failure.
"""


class Lost(Exception):  # noqa: N818 - said of the guest
    """The guest has ended, or has stopped answering."""


class JobFailed(Exception):  # noqa: N818 - said of the job
    """The guest answers, and what was asked of it has failed."""
