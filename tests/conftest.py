"""What every suite stands on. A missing program is an error, never a skip."""

import pytest
from godwit import program


@pytest.fixture(scope="session")
def godwit_program():
    path = program()
    assert path.exists(), f"{path} is not built: run make build"
    return path
