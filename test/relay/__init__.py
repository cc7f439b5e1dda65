"""What the tests of `wire` and `relay` share.

peers           strict HTTP/2 endpoints without sockets (the h2 package checks windows, states, header tables)
conversation    two of them with a link in between, the bytes cut as a test wants; what holds at rest
hooks           hooks of every temper, and what their calls come to
raw             frames and header blocks by hand, and a strict reader of what a link puts out
model           peers by hand that check every single step instead of the end
served          a relay in a process of its own, for the tests with real gRPC peers beside this file
backend         the gRPC server behind it
"""
