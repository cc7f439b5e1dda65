# Run by cri-resource-manager-bypass.service: the relay's path leads to the runtime, with nothing in between that could
# fail.  The byte relay does it where an interpreter runs: it can give the path back without the kubelet noticing.  Where
# none does, the path becomes a link to the runtime's socket.
set -eu
cd /etc/cri-resmgr/lib
path=/run/cri-resmgr/cri-resmgr.sock
python=/opt/cri-resmgr/current/bin/python3
mkdir -p -m 711 /run/cri-resmgr
while ! "$python" -B -S -m bypass --check; do
  # Clients of a daemon that was killed reconnect by themselves.
  if [ "$(readlink $path)" != "$RUNTIME_SOCKET" ]; then
    ln -sfn "$RUNTIME_SOCKET" $path.link
    mv -fT $path.link $path
    echo "no interpreter runs: $path is a link to $RUNTIME_SOCKET"
  fi
  sleep 15
done
exec "$python" -B -S -m bypass --runtime-socket "$RUNTIME_SOCKET" --path $path
