"""One exported model that the tests of this folder share: exporting takes seconds."""

import pytest
from export.onnx.exported import Exported, conformer, describe, export

from fold.paths import PathSpace


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A tiny Conformer, stored in all ways."""
    description = describe(conformer(), PathSpace(2, (2, 3)))
    return export(tmp_path_factory.mktemp("exported"), description, "--storage=[fp32,fp16,int8,int4]")
