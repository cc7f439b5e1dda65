"""Configuration that users write: models, errors with paths, and the child process that reads it for the daemon.

The daemon itself never parses configuration text: it imports `config.child` and `config.settings` only, and gets
plain values.  `models` needs pydantic and is for the checking process, the agent and the extension.
"""
