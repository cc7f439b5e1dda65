#!/usr/bin/env bash
# Writes examples/ctrldeploy-ctrlreg.yaml, controllerdeployment-v1.yaml and operator-extension.yaml anew from the chart;
# with --check only says whether they are what the chart makes.
set -euo pipefail
exec python3 "$(dirname "$0")/controller_registration.py" "$@"
