"""Words after `cri-resmgr` that do something other than run the daemon; each module has a `run(arguments) -> int`."""
