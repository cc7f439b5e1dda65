"""The images that critest and the tests' own pods use, each made of busybox.

critest knows its images by name and asks little of them: a web server on a port, a user, a program called `nginx`.
It could take other names from a file for two of them only, so all are served under the names that it expects.
"""

from equipment.images import File, Image, script

PAUSE = "registry.k8s.io/pause:3.9"
BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.29-2"
_E2E = "registry.k8s.io/e2e-test-images"
_STAGING = "gcr.io/k8s-staging-cri-tools"

# Debian's busybox lacks these two applets.
_PGREP = script(
    'for comm in /proc/[0-9]*/comm; do [ "$(cat $comm 2>/dev/null)" != "$1" ] || echo "$comm" | cut -d/ -f3; done'
)
_IPCS = script("cat /proc/sysvipc/shm")

# It has a name of its own among the processes of a pod: critest looks for ones called `sleep`.
_PAUSE = File("#!/bin/tail -f\n", mode=0o755)


def _web_server(port: int) -> dict[str, File]:
    """A program `nginx`: that name is what `pidof` finds, and the log line is one of Apache's."""
    return {
        "/bin/nginx": script(
            f"echo $$ >/var/run/nginx.pid\necho httpd -D FOREGROUND\nhttpd -f -p {port} -h /var/www &\nwait"
        ),
        "/var/www/index.html": File("a stand-in\n"),
    }


def _web_image(names: tuple[str, ...], port: int) -> Image:
    # Its command line must hold these words in the test of process id name spaces.
    return Image(names, entrypoint=("/bin/nginx", "master process"), files=_web_server(port))


def _user_image(name: str, user: str) -> Image:
    return Image((f"{_STAGING}/{name}:latest",), command=("sh",), user=user)


def stand_ins() -> tuple[Image, ...]:
    """Every image under every name."""
    return (
        # No Cmd: it would be appended as arguments, and a pause container that ends ends its pod.
        Image((PAUSE,), entrypoint=("/pause",), files={"/pause": _PAUSE}),
        Image((BUSYBOX,), command=("sh",), files={"/bin/pgrep": _PGREP, "/bin/ipcs": _IPCS}),
        _web_image((f"{_E2E}/nginx:1.14-2", f"{_E2E}/httpd:2.4.39-4"), port=80),
        _web_image((f"{_STAGING}/hostnet-nginx-amd64:latest", f"{_STAGING}/hostnet-nginx-arm64:latest"), port=12003),
        _user_image("test-image-user-uid", "1002"),
        _user_image("test-image-user-username", "www-data"),
        _user_image("test-image-user-uid-group", "1003:1004"),
        _user_image("test-image-user-username-group", "www-data:1004"),
        _user_image("test-image-predefined-group", "1000"),
        *_listed(),
    )


def _listed() -> tuple[Image, ...]:
    """What the image manager is tested with: images that differ, and one image under several names."""
    groups = (
        ("test-image-latest:latest",),
        ("test-image-tag:test",),
        ("test-image-tag:all",),
        ("test-image-1:latest",),
        ("test-image-2:latest",),
        ("test-image-3:latest",),
        ("test-image-tags:1", "test-image-tags:2", "test-image-tags:3"),
    )
    return tuple(
        Image(tuple(f"{_STAGING}/{name}" for name in names), command=("sh",), labels={"name": names[0]})
        for names in groups
    )
