"""What holds for all tests."""

import hypothesis

# A loaded machine is slow: examples have no deadline, tests have pytest's.
hypothesis.settings.register_profile("project", deadline=None, print_blob=True)
hypothesis.settings.load_profile("project")
