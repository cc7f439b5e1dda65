"""Entry points: flags, verbs, and the life of the daemon process.  Imports lazily, so that `--version` is instant."""
