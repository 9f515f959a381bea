"""Models for ONNX runtimes: one graph whose depth is an input, each weight in it once.

`network` is what is exported, `frontend` its filterbanks, `graph` traces and tidies it, `storage` makes its weights
smaller, `description` and `folder` write what a runtime needs. Needs the extra `onnx` (`pip install fold-asr[onnx]`).
"""
