"""The second story of `make demo`: from a Shoot in Gardener's API to the CPUs of a container on its node, and back.

What is real here and what a stand-in does is said in `test/chain`.  What is run is what the README says.
"""

import json
import re
from typing import Any

from chain import installations
from chain.landscape import NODE, SHOOT_NAMESPACE, Landscape, condition
from equipment.built_images import TAG
from equipment.stand_ins import BUSYBOX
from telling import run, say, show, wait

REGISTRATION, SHOOT = "examples/ctrldeploy-ctrlreg.yaml", "examples/shoot.yaml"
IMAGES = ("installation", "agent", "webhook")
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
SIZE = {"cpu": "500m", "memory": "64Mi"}
DEADLINE_S = 120
OURS = ("/opt/cri-resmgr", "/etc/cri-resmgr", "/var/lib/cri-resmgr")


def tell(chain: Landscape) -> None:
    """The whole story, in a landscape that is up."""
    Story(chain).tell()


class Story:
    """What is asked of a landscape, and what it answers."""

    def __init__(self, chain: Landscape) -> None:
        self.chain = chain
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
        show("\n".join(f"{self.chain.images.reference(name)}  {self.chain.images.digest(name)}" for name in
                       ("extension", *IMAGES)))  # fmt: skip
        self.garden("apply", "-f", REGISTRATION)
        values = json.dumps({"helm": {"values": self._values()}})
        patch = ("patch", "controllerdeployment", "cri-resmgr-extension", "--type=merge")
        run("kubectl patch controllerdeployment cri-resmgr-extension --type=merge -p …",
            self.chain.garden.kubectl(*patch, "-p", values))  # fmt: skip

    def enable(self) -> None:
        """The user's part."""
        self.before = self.node_state()
        say("11. A user makes a Shoot in the real gardener-apiserver, and switches the extension on")
        self.garden("create", "-f", SHOOT)
        self.switch(disabled=False)
        took_s = self.until("its DaemonSets to be ready", self.is_healthy)
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
        run("cri-resmgr status", self.relay("status"))

    def place(self) -> None:
        """Pods as anybody makes them."""
        say("13. Two pods: one may use what is shared, one has all that it may use to itself")
        self.make_pod("web", {"requests": {"cpu": "100m", "memory": "32Mi"}})
        self.make_pod("worker", {"requests": SIZE, "limits": SIZE})
        show(self.cpus())
        run("cri-resmgr explain worker", self.relay("explain", "worker"))

    def configure(self) -> None:
        """Without restarting anything."""
        last = self.last_cpu()
        say(f"14. The user changes the configuration of all nodes, through providerConfig: CPU {last} is reserved now")
        self.provide(RESERVED.format(cpu=last))
        took_s = self.until("the reserved CPU to be another", lambda: f"reserved CPUs {last}" in self.policy())
        show(f"{self.policy()}\n{self.cpus()}\nafter {took_s:.1f} s; no pod was restarted")
        say("15. An administrator changes it for one node, with a ConfigMap made by hand")
        name = f"cri-resmgr-config.node.{NODE}"
        self.cluster("create", "configmap", name, "-n", "kube-system", f"--from-literal=policy={_inner(ALONE)}")
        took_s = self.until("policy none", lambda: "none" in self.policy())
        show(f"{self.policy()}; after {took_s:.1f} s")
        self.cluster("delete", "configmap", name, "-n", "kube-system")
        took_s = self.until("the other policy to be back", lambda: "topology-aware" in self.policy())
        show(f"{self.policy()}; after {took_s:.1f} s")

    def disable(self) -> None:
        """As the README says."""
        say("16. The user has enough of it")
        started = self.started("web")
        self.switch(disabled=True)
        took_s = self.until("the extension to be gone", self.is_gone)
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
        run(f"kubectl {' '.join(words)}", said)
        return said

    def cluster(self, *words: str) -> str:
        """A command in seed and shoot, shown."""
        said = self.chain.cluster.kubectl(*words)
        run(f"kubectl {' '.join(words)}", said)
        return said

    def until(self, what: str, condition: Any) -> float:
        """Wait; how long it took."""
        return wait(what, condition, deadline_s=DEADLINE_S)

    def is_healthy(self) -> bool:
        """Does the Shoot say so of what the extension has put there?"""
        found = condition(self.shoot(), "SystemComponentsHealthy")
        return found.get("status") == "True" and found.get("reason") == "HealthCheckSuccessful"

    def is_gone(self) -> bool:
        """Has the Shoot been reconciled without it, and is its namespace empty of it?"""
        operation = self.shoot().get("status", {}).get("lastOperation", {})
        path = f"/apis/extensions.gardener.cloud/v1alpha1/namespaces/{SHOOT_NAMESPACE}/extensions/cri-resmgr-extension"
        return operation.get("state") == "Succeeded" and self.chain.cluster.api.find(path) is None

    def shoot(self) -> dict[str, Any]:
        """As the garden has it."""
        found: dict[str, Any] = json.loads(self.chain.garden.kubectl("get", "shoot", "local", *IN_GARDEN, "-ojson"))
        return found

    def provide(self, config: str) -> None:
        """Change `providerConfig.configs.default` of the Shoot."""
        shoot = self.shoot()
        shoot["spec"]["extensions"][0]["providerConfig"]["configs"]["default"] = config
        change = json.dumps({"spec": {"extensions": shoot["spec"]["extensions"]}})
        run("kubectl patch shoot local -n garden-local -p '{…\"default\": \"…\"}'",
            self.chain.garden.kubectl("patch", "shoot", "local", *IN_GARDEN, "-p", change))  # fmt: skip

    def make_pod(self, name: str, resources: dict[str, Any]) -> None:
        """One of one container, and wait until it runs."""
        container = {
            "name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "resources": resources,
            "command": ["sh", "-c", "trap exit TERM; while :; do sleep 1 & wait $!; done"],
        }  # fmt: skip
        spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.chain.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        self.chain.cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", deadline_s=70)

    def cpus_of(self, pod: str) -> str:
        """What the kernel says of its first process."""
        text = self.chain.cluster.kubectl("exec", pod, "--", "grep", "Cpus_allowed_list", "/proc/1/status")
        return text.split()[-1]

    def cpus(self) -> str:
        """Of both pods."""
        return "\n".join(f"{name:<7} Cpus_allowed_list: {self.cpus_of(name)}" for name in ("web", "worker"))

    def last_cpu(self) -> int:
        """Of the node."""
        return int(re.split("[-,]", self.chain.node.inside("cat", "/sys/devices/system/cpu/online").strip())[-1])

    def started(self, pod: str) -> str:
        """When its container did."""
        found = json.loads(self.chain.cluster.kubectl("get", "pod", pod, "-ojson"))
        state = found["status"]["containerStatuses"][0]["state"]
        return str(state.get("running", {}).get("startedAt", state))

    def relay(self, *words: str) -> str:
        """The command of the node's bundle."""
        return self.chain.node.inside("/opt/cri-resmgr/current/bin/cri-resmgr", *words)

    def policy(self) -> str:
        """The line of `cri-resmgr status` that names it."""
        return next(line for line in self.relay("status").splitlines() if "policy" in line).strip()

    def node_state(self) -> dict[str, str]:
        """What an installation changes on a node, in few words."""
        inside = self.chain.node.inside
        active = inside("systemctl", "is-active", "cri-resource-manager", check=False).strip()
        pid = inside("systemctl", "show", "--property=MainPID", "--value", "kubelet").strip()
        words = inside("cat", f"/proc/{pid}/cmdline").split("\0")
        endpoint = [word.partition("=")[2] for word in words if word.startswith("--container-runtime-endpoint")][-1]
        files = inside(
            "sh", "-c", "find /opt/cri-resmgr /etc/cri-resmgr /var/lib/cri-resmgr 2>/dev/null | wc -l"
        ).strip()
        return {"cri-resource-manager": active, "kubelet's runtime": endpoint, "our files": files}

    def _values(self) -> dict[str, Any]:
        """Of the ControllerDeployment; the last two because nobody injects tokens or resizes pods here."""
        images = [
            {"name": f"gardener-extension-cri-resmgr-{name}", "repository": self.chain.images.name(name), "tag": TAG}
            for name in IMAGES
        ]
        return {
            "image": {"repository": self.chain.images.name("extension"), "tag": TAG},
            "imageVectorOverwrite": json.dumps({"images": images}),
            "serviceAccount": {"automountToken": True},
            "vpa": {"enabled": False},
        }


def _inner(config: str) -> str:
    """The value of a ConfigMap's key `policy`: what stands below it in a file."""
    lines = config.splitlines()[1:]
    return "\n".join(line.removeprefix("  ") for line in lines)
