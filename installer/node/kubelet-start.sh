# Run by the kubelet's unit before each start: with a relay, adds it to $KUBELET_EXTRA_ARGS in /run/cri-resmgr/kubelet.env,
# where the last of two endpoint flags counts.  Without one writes nothing: the kubelet then uses its runtime.
set -eu
service=cri-resource-manager
[ -x /opt/cri-resmgr/current/bin/cri-resmgr ] || exit 0
case $(systemctl show --property=ActiveState --value $service.service) in
  active | reloading | activating) ;;
  *) systemctl is-active --quiet $service-bypass.service || exit 0 ;;
esac
mkdir -p -m 711 /run/cri-resmgr
# In double quotes a backslash protects these four.
others=$(printf '%s' "${KUBELET_EXTRA_ARGS:-}" | sed 's/[\\"$`]/\\&/g')
env=/run/cri-resmgr/kubelet.env
printf 'KUBELET_EXTRA_ARGS="%s --container-runtime-endpoint=unix:///var/run/cri-resmgr/cri-resmgr.sock"\n' "$others" >$env.new
mv -f $env.new $env
