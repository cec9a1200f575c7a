import pytest

from harness import Master


@pytest.fixture
def make_master():
    made = []

    def make(**parameters):
        made.append(Master(**parameters))
        return made[-1]

    yield make
    for master in made:
        master.close()
