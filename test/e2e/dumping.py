"""The state of a landscape, in files, when a case has failed: objects, events, logs; no secret's data."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from chain.access import Access
from chain.installations import NAMESPACE
from chain.local import Local
from equipment.kubectl import KubectlError

GARDEN = ("shoots,controllerinstallations,controllerregistrations", "-A", "-oyaml")
SHOOT = ("nodes,pods,daemonsets,configmaps,events", "-A", "-oyaml")
SEED = ("extensions,clusters,managedresources", "-A", "-oyaml")
UNITS = ("cri-resource-manager", "cri-resource-manager-bypass", "kubelet", "containerd")
LOGS = ("cri-resmgr-installation", "cri-resmgr-agent")


def dump(landscape: Access, name: str) -> Path:
    """Everything that can be had; the directory."""
    directory = Path(tempfile.mkdtemp(prefix=f"e2e-{re.sub(r'[^a-z0-9-]+', '-', name)[:40]}-"))
    found = {
        "garden.yaml": _said(landscape.garden, "get", *GARDEN),
        "shoot.yaml": _said(landscape.shoot, "get", *SHOOT),
    }
    for app in LOGS:
        selector = f"app.kubernetes.io/name={app}"
        words = ("logs", "-n", "kube-system", "-l", selector, "--all-containers", "--prefix", "--tail=-1")
        found[f"{app}.log"] = _said(landscape.shoot, *words)
    if isinstance(landscape, Local):
        found |= _of_the_chain(landscape)
    for file, text in found.items():
        (directory / file).write_text(text)
    return directory


def _of_the_chain(local: Local) -> dict[str, str]:
    found = {"seed.yaml": _said(local.shoot, "get", *SEED)}
    selector = "app.kubernetes.io/name=gardener-extension-cri-resmgr"
    found["extension.log"] = _said(local.shoot, "logs", "-n", NAMESPACE, "-l", selector, "--prefix", "--tail=-1")
    found |= {f"{name}.log": text for name, text in local.chain.logs().items()}
    for unit in UNITS:
        try:
            found[f"node-{unit}.log"] = local.chain.node.journal(unit)
        except RuntimeError as error:
            found[f"node-{unit}.log"] = str(error)
    return found


def _said(kubectl: Callable[..., str], *words: str) -> str:
    try:
        return kubectl(*words)
    except (KubectlError, OSError) as error:
        return f"{error}\n"
