// Two releases of the CRI: the one that cri_resmgr/cri/api.proto follows (test/unit/cri/test_schema.py compares the
// two), and one whose decoder is gogo, as in containerd 1.6 (test/unit/cri/test_go_decoders.py).
module cri-resmgr.test/cri-api

go 1.26.0

require (
	google.golang.org/protobuf v1.36.12-0.20260120151049-f2248ac996af
	k8s.io/cri-api v0.37.2
	old.test/cri-api v0.32.0
)

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.40.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/grpc v1.82.1 // indirect
)

replace old.test/cri-api => k8s.io/cri-api v0.32.0
