"""The transport between kubelet and runtime: links, held calls, taps, listener, drain.

It knows no protobuf and no CRI: which calls are held, and by whom they are answered, is injected as a table of
hooks.  Called by `cli` (which starts it) and `manager` (whose hooks it runs).
"""
