"""gRPC calls from inside the guest, for a client outside of it: a base64 request in, a base64 reply out.

calls.py SOCKET: a line of standard input is `PATH DEADLINE_S REQUEST`, the answer `0 REPLY` or `STATUS WORDS`.  It
is one process for a whole test: under emulation its start costs seconds, a call milliseconds.  grpcio, as in
`equipment.cri`: another HTTP/2 and gRPC than ours.
"""

import base64
import sys

import grpc


def main() -> None:
    """Serve standard input to its end."""
    channel = grpc.insecure_channel(f"unix://{sys.argv[1]}")
    for line in sys.stdin:
        path, deadline_s, request = line.removesuffix("\n").split(" ")
        call = channel.unary_unary(path)
        try:
            reply = call(base64.b64decode(request), timeout=float(deadline_s), wait_for_ready=True)
            answer = f"0 {base64.b64encode(reply).decode()}"
        except grpc.RpcError as error:
            answer = f"{error.code().value[0]} {' '.join(error.details().split())}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
