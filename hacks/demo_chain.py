"""The second story of `make demo`: from a Shoot in Gardener's API to the CPUs of a container on its node, and back.

What is real here and what a stand-in does is said in `test/chain`.  What is run is what the README says.
"""

import json
import re
import shlex

from chain import installations
from chain.landscape import NODE, SHOOT_NAMESPACE, Landscape
from chain.local import REGISTRATION, Local
from chain.user import User
from equipment.built_images import TARGETS
from equipment.stand_ins import BUSYBOX
from equipment.worker import kubelet_endpoint
from telling import run, say, show

SHOOT = "examples/shoot.yaml"
IN_GARDEN = ("-n", "garden-local")
RESERVED = """\
policy:
  Active: topology-aware
  ReservedResources: {{CPU: "cpuset:{cpu}"}}
"""
ALONE = """\
policy:
  Active: none
"""
OURS = ("/opt/cri-resmgr", "/etc/cri-resmgr", "/var/lib/cri-resmgr")


def tell(chain: Landscape) -> None:
    """The whole story, in a landscape that is up."""
    Story(chain).tell()


class Story:
    """What is asked of a landscape, and what it answers."""

    def __init__(self, chain: Landscape) -> None:
        self.chain, self.operator = chain, Local(chain)
        self.user = User(self.operator, BUSYBOX)
        self.before: dict[str, str] = {}

    def tell(self) -> None:
        """From the registration to a node that is as it was."""
        self.register()
        self.enable()
        self.look_at_the_node()
        self.place()
        self.configure()
        self.disable()

    def register(self) -> None:
        """The operator's part."""
        say("10. The operator registers the extension in the garden, and says which images to use")
        images = self.chain.images
        show("\n".join(f"{images.reference(name)}  {images.digest(name)}" for name in TARGETS))
        self.garden("apply", "-f", REGISTRATION)
        run("kubectl patch controllerdeployment cri-resmgr-extension --type=merge -p …", self.operator.values())

    def enable(self) -> None:
        """The user's part."""
        self.before = self.node_state()
        say("11. A user makes a Shoot in the real gardener-apiserver, and switches the extension on")
        self.garden("create", "-f", SHOOT)
        self.switch(disabled=False)
        took_s = self.user.wait(self.is_healthy, "its DaemonSets to be ready")
        show(f"the Shoot's condition SystemComponentsHealthy is True, after {took_s:.0f} s")
        self.garden("get", "controllerinstallations")
        self.cluster("get", "pods", "-n", installations.NAMESPACE)
        self.cluster("get", "extensions,managedresources", "-n", SHOOT_NAMESPACE)
        self.cluster("get", "daemonsets", "-n", "kube-system")

    def look_at_the_node(self) -> None:
        """What the DaemonSet has done there."""
        say("12. On the node the relay runs as a service, and the kubelet talks to it")
        show("before   " + ", ".join(f"{name}: {value}" for name, value in self.before.items()))
        show("now      " + ", ".join(f"{name}: {value}" for name, value in self.node_state().items()))
        run("cri-resmgr status", self.chain.relay("status"))

    def place(self) -> None:
        """Pods as anybody makes them."""
        enough = self.last_cpu() >= 2  # noqa: PLR2004 - one is reserved, and one is left to share
        what = "the second has a CPU for itself" if enough else "both share what is not reserved"
        say(f"13. Two pods, Burstable and Guaranteed: {what}, and the relay says why")
        size = {"cpu": "1" if enough else "500m", "memory": "64Mi"}
        self.user.run_pod("web", requests={"cpu": "100m", "memory": "32Mi"})
        self.user.run_pod("worker", requests=size, limits=size)
        show(self.cpus())
        run("cri-resmgr explain worker", self.chain.relay("explain", "worker"))

    def configure(self) -> None:
        """Without restarting anything."""
        last = self.last_cpu()
        say(f"14. The user changes the configuration of all nodes, through providerConfig: CPU {last} is reserved now")
        self.provide(RESERVED.format(cpu=last))
        self.until_policy(f"reserved CPUs {last}")
        show(f"{self.cpus()}\nno pod was restarted")
        say("15. An administrator changes it for one node, with a ConfigMap made by hand")
        name = f"cri-resmgr-config.node.{NODE}"
        self.cluster("create", "configmap", name, "-n", "kube-system", f"--from-literal=policy={_inner(ALONE)}")
        self.until_policy("policy none")
        self.cluster("delete", "configmap", name, "-n", "kube-system")
        self.until_policy("topology-aware")

    def disable(self) -> None:
        """As the README says."""
        say("16. The user has enough of it")
        started = self.started("web")
        self.switch(disabled=True)
        took_s = self.user.wait(self.is_gone, "the extension to be gone")
        show(f"gone from garden, seed and shoot after {took_s:.0f} s")
        show("before   " + ", ".join(f"{name}: {value}" for name, value in self.before.items()))
        show("now      " + ", ".join(f"{name}: {value}" for name, value in self.node_state().items()))
        show(f"{self.cpus()}\nthe pods have not noticed: web started {started}, and still runs: {self.started('web')}")

    def switch(self, *, disabled: bool) -> None:
        """The README's patch, which leaves the rest of the Shoot as it is."""
        change = [{"op": "add", "path": "/spec/extensions/0/disabled", "value": disabled}]
        self.garden("patch", "shoot", "local", *IN_GARDEN, "--type=json", "-p", json.dumps(change))

    def garden(self, *words: str) -> str:
        """A command in the garden, shown."""
        said = self.chain.garden.kubectl(*words)
        run(f"kubectl {shlex.join(words)}", said)
        return said

    def cluster(self, *words: str) -> str:
        """A command in seed and shoot, shown."""
        said = self.chain.cluster.kubectl(*words)
        run(f"kubectl {shlex.join(words)}", said)
        return said

    def until_policy(self, words: str) -> None:
        """Wait until it says that of the policy in force; show it, and how long that took."""
        took_s = self.user.wait(lambda: words in self.chain.policy(), words)
        show(f"{self.chain.policy()}\nafter {took_s:.1f} s")

    def is_healthy(self) -> bool:
        """Does the Shoot say so of what the extension has put there?"""
        said = self.user.condition()
        return (said.get("status"), said.get("reason")) == ("True", "HealthCheckSuccessful")

    def is_gone(self) -> bool:
        """Has the Shoot been reconciled without it, and is its namespace empty of it?"""
        path = f"/apis/extensions.gardener.cloud/v1alpha1/namespaces/{SHOOT_NAMESPACE}/extensions/cri-resmgr-extension"
        return self.user.is_reconciled() and self.chain.cluster.api.find(path) is None

    def provide(self, config: str) -> None:
        """Change `providerConfig.configs.default` of the Shoot."""
        extensions = self.user.get()["spec"]["extensions"]
        extensions[0]["providerConfig"]["configs"]["default"] = config
        said = self.user.change({"extensions": extensions})
        run('kubectl patch shoot local -n garden-local -p \'{…"default": "…"}\'', said)

    def cpus(self) -> str:
        """Of both pods."""
        return "\n".join(f"{name:<7} Cpus_allowed_list: {self.user.cpus(name)}" for name in ("web", "worker"))

    def last_cpu(self) -> int:
        """Of the node."""
        return int(re.split("[-,]", self.chain.node.inside("cat", "/sys/devices/system/cpu/online").strip())[-1])

    def started(self, pod: str) -> str:
        """When its container did."""
        state = self.user.pod(pod)["status"]["containerStatuses"][0]["state"]
        return str(state.get("running", {}).get("startedAt", state))

    def node_state(self) -> dict[str, str]:
        """What an installation changes on a node, in few words."""
        node = self.chain.node
        files = node.inside("sh", "-c", f"find {' '.join(OURS)} 2>/dev/null | wc -l").strip()
        active = node.show("cri-resource-manager", "ActiveState")
        return {"cri-resource-manager": active, "kubelet's runtime": kubelet_endpoint(node), "our files": files}


def _inner(config: str) -> str:
    """The value of a ConfigMap's key `policy`: what stands below it in a file."""
    lines = config.splitlines()[1:]
    return "\n".join(line.removeprefix("  ") for line in lines)
