"""Configuration that users write: models, errors with paths, and the child process that reads it for the daemon.

The daemon itself never parses configuration text: it imports `config.child` and `config.settings` only, and gets
plain values.  The rest is for the checking process, the agent, the extension and people at a terminal:

    scanning, reading, texts     a text, or several, to a tree of plain values, within limits
    notations, forms, models     what can be said, how it is written, what it means: the one truth
    outline                      the models as a tree of entries; everything below comes from it
    check, messages              a tree to settings, or to all that is wrong with it
    helping, explaining, schema  the models told to people and to editors; hacks/make-config-docs makes the page
"""
