// The release of the CRI that cri_resmgr/cri/api.proto follows; test/unit/cri/test_schema.py compares the two.
module cri-resmgr.test/cri-api

go 1.24

require k8s.io/cri-api v0.37.2
