"""The agent is small because nothing here brings in the thousand classes of the library's models and APIs."""

import subprocess
import sys

LOOK = """
import sys
import cri_resmgr.kube.clients, cri_resmgr.kube.leasing, cri_resmgr.kube.queueing, cri_resmgr.kube.watching
print(*(name for name in sys.modules if name.startswith("kubernetes.aio.client.")))
"""


def test_no_models_and_no_typed_apis_are_imported():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert "kubernetes.aio.client.rest" in imported
    assert [
        name for name in imported if name.startswith(("kubernetes.aio.client.api.", "kubernetes.aio.client.models."))
    ] == []
