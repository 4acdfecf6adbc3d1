"""An adapter is used only with versions of its framework that its package declares it for."""

from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from nntrace.adapter import installed_adapters
from nntrace.adapter.versions import needs_newer


class Package(Distribution):
    """An installed package that was built with these requirements."""

    def __init__(self, *requirements):
        self.requirements = requirements

    def read_text(self, filename):
        lines = [f"Requires-Dist: {line}\n" for line in self.requirements]
        return "Name: tracer\n" + "".join(lines) if filename == "METADATA" else None

    def locate_file(self, path):
        return Path(path)  # a package has to have it; nothing here asks for its files


def adapter(*requirements):
    entry = EntryPoint("keras", "tracer:Adapter", "nntrace.adapters")
    vars(entry)["dist"] = Package(*requirements)
    return entry


@pytest.mark.parametrize("version", ["3.6.0", "3.6.9", "2.15", "3"])
def test_an_older_version_is_too_old(version):
    assert needs_newer(adapter('keras>=3.7; extra == "keras"'), version) == "3.7"


@pytest.mark.parametrize("version", ["3.7.0", "3.7", "3.10.0", "4", "3.7.0a0+nv25.3", "unknown"])
def test_this_version_a_later_one_and_an_unknown_one_are_not(version):
    assert needs_newer(adapter('keras>=3.7; extra == "keras"'), version) == ""


@pytest.mark.parametrize(
    "requirements", [(), ("keras",), ("keras-hub>=3.7",), ("numpy>=2",), ("keras<4",)]
)
def test_without_a_lower_bound_every_version_is_new_enough(requirements):
    assert needs_newer(adapter(*requirements), "1.0") == ""


def test_a_bound_beside_others_is_found():
    assert needs_newer(adapter("numpy>=9", "keras!=3.8,>=3.7"), "3.6") == "3.7"


def test_the_adapters_that_come_with_nntrace_declare_a_bound():
    assert all(needs_newer(entry, "0.1") for entry in installed_adapters().values())
