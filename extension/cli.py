"""`gardener-extension-cri-resmgr`: the command line of the process in the seed.

Exit codes: 0 stopped by a signal, 1 it could not go on, 2 the user's input was wrong.
"""

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput, Error
from cri_resmgr.kube.lease_records import Terms
from cri_resmgr.kube.resources import Ref
from cri_resmgr.observe import logging
from extension import image_vectors, running
from extension.flags import PROGRAM, parser
from extension.images import Source
from extension.options import Options
from extension.rendering.inputs import PullSecret

REQUEST_SHARE = 0.4
"""Of the time in which a lease must be renewed: two requests fit in, and some waiting."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    flags = parser(os.environ).parse_args(sys.argv[1:] if argv is None else argv)
    try:
        settings = settings_of(flags, os.environ)
        logging.configure(LoggerSettings(backend=flags.log_format, level=flags.log_level))
        asyncio.run(running.run(settings))
    except Error as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"{PROGRAM}: {line}\n")
        return 2 if isinstance(error, BadInput) else 1
    return 0


def settings_of(flags: Namespace, environment: Mapping[str, str]) -> running.Settings:
    """What the flags say, checked as a whole.  Raises BadInput."""
    lead = _lead(flags) if flags.leader_election else None
    return running.Settings(
        controller=Options(
            namespace=flags.namespace,
            workers=flags.max_concurrent_reconciles,
            removal_s=flags.removal_timeout,
            pull_secrets=_pull_secrets(flags.pull_secrets_directory),
            monitoring=flags.monitoring,
        ),
        images=_images(flags.image_vector, environment),
        kubeconfig=flags.kubeconfig,
        lead=lead,
        heartbeat_namespace=_heartbeat_namespace(flags),
        heartbeat_interval_s=flags.heartbeat_renew_interval_seconds,
        health_workers=flags.healthcheck_max_concurrent_reconciles,
        refresh_s=flags.healthcheck_refresh_period,
        health_endpoint=flags.health_bind_address,
        metrics_endpoint=flags.metrics_bind_address,
    )


def _lead(flags: Namespace) -> running.Lead:
    if not flags.leader_election_namespace:
        raise BadInput(
            "where is the Lease? Give --leader-election-namespace, or --leader-election=false for one replica"
        )
    renew_s = flags.leader_election_renew_deadline
    terms = Terms(
        duration_s=round(flags.leader_election_lease_duration),  # a Lease has whole seconds
        renew_deadline_s=renew_s,
        retry_s=flags.leader_election_retry_period,
        request_deadline_s=renew_s * REQUEST_SHARE,
    )
    return running.Lead(Ref(flags.leader_election_namespace, flags.leader_election_id), terms)


def _heartbeat_namespace(flags: Namespace) -> str:
    namespace = str(flags.heartbeat_namespace or flags.leader_election_namespace)
    if not namespace:
        raise BadInput("where does gardenlet look for the heartbeat? Give --heartbeat-namespace: the extension's own")
    return namespace


def _images(path: Path, environment: Mapping[str, str]) -> tuple[Source, ...]:
    vector = image_vectors.load(path)
    overwrite = environment.get(image_vectors.OVERWRITE_ENVIRONMENT, "")
    return image_vectors.overwritten(vector, image_vectors.load(Path(overwrite))) if overwrite else vector


def _pull_secrets(directory: Path | None) -> tuple[PullSecret, ...]:
    """One for each file: its name is that of the Secret in the shoot, its text what stands in that."""
    if directory is None:
        return ()
    try:
        files = [file for file in sorted(directory.iterdir()) if not file.name.startswith(".")]  # ..data is a kubelet's
        return tuple(PullSecret(name=file.name, docker_config_json=file.read_text("utf-8")) for file in files)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"pull secrets in {directory}: cannot be read: {error}; mount one file for each") from error


if __name__ == "__main__":
    sys.exit(main())
