#!/usr/bin/env bash
# Builds the four images and loads them into the nodes of a kind cluster: Gardener's local set-up finds them there.
#
#   hacks/kind-load-images.sh [CLUSTER]      gardener-local unless given; REGISTRY and TAG as for make build-images
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hacks/image-names
source hacks/image-names
cluster=${1:-gardener-local}
for needed in kind docker; do
  command -v "$needed" >/dev/null || { echo "kind-load-images.sh: there is no $needed here; install it" >&2; exit 2; }
done
if ! kind get clusters 2>/dev/null | grep -qxF -- "$cluster"; then
  echo "kind-load-images.sh: there is no kind cluster '$cluster'; make kind-up in Gardener's checkout, or name another" >&2
  exit 2
fi
BUILDER=docker hacks/build-images
for image in "${images[@]}"; do
  name=$(reference "$image")
  echo "kind-load-images.sh: $name to $cluster" >&2
  kind load docker-image --name "$cluster" "$name"
done
