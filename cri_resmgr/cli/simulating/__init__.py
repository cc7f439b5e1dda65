"""`cri-resmgr simulate`: what a policy would do on a machine, without the machine, a cluster or a runtime.

`machine_files` and `scenario_files` read what a user writes; `kubelet` turns a pod's spec into what a kubelet would
ask of a runtime; `running` takes the steps on a stage; `drawing` and `telling` show people what has happened, and
`listing` shows programs.  Called by the verb alone; the policy on the stage is the daemon's own.
"""
