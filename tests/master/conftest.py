import pathlib
import sys

import pytest

# What every test needs is among the parts of the system tests' site.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from harness import Master  # noqa: E402


@pytest.fixture
def make_master():
    made = []

    def make(**parameters):
        made.append(Master(**parameters))
        return made[-1]

    yield make
    for master in made:
        master.close()
