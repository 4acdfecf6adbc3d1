"""Skips these tests without the frameworks they need; `make test-ecosystem` installs them."""

from importlib.util import find_spec

NEEDED = ("lightning", "transformers", "accelerate")
collect_ignore_glob = [] if all(find_spec(name) for name in NEEDED) else ["test_*.py"]
