"""Which process of xdist takes which tests."""

from xdist.scheduler import LoadFileScheduling

SHARING = ("tests/export/onnx/",)  # folders whose files share a fixture that takes half a minute to make


class ByFileOrFolder(LoadFileScheduling):
    """A process takes all tests of a file, or of a folder that shares."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in SHARING if nodeid.startswith(folder)), super()._split_scope(nodeid))
