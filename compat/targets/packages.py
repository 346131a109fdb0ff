"""Packages that a checkpoint may ask for: found without being imported."""

from __future__ import annotations

from importlib.util import find_spec

IMPORT_NAMES: dict[str, str] = {
    "pillow": "PIL",
    "opencv-python": "cv2",
    "scikit-learn": "sklearn",
    "pyyaml": "yaml",
    "protobuf": "google.protobuf",
    "optimum-quanto": "optimum.quanto",
}
"""Distributions that are imported under another name than their own with `_` for `-`."""

INSTALLED_WITH: dict[str, str] = {
    "flash-attn": "pip install flash-attn --no-build-isolation",
    "flash_attn": "pip install flash-attn --no-build-isolation",
    "mamba-ssm": "pip install mamba-ssm --no-build-isolation",
    "mamba_ssm": "pip install mamba-ssm --no-build-isolation",
    "causal-conv1d": "pip install causal-conv1d --no-build-isolation",
    "causal_conv1d": "pip install causal-conv1d --no-build-isolation",
    "PIL": "pip install pillow",
    "cv2": "pip install opencv-python",
    "sklearn": "pip install scikit-learn",
}
"""Packages, or the modules they are imported as, that a plain `pip install` does not bring."""


def is_installed(distribution: str) -> bool:
    """Whether a distribution can be imported; finds it without importing it."""
    name = IMPORT_NAMES.get(distribution.lower(), distribution.replace("-", "_"))
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False


def install_command(package: str) -> str:
    """How to install it."""
    return INSTALLED_WITH.get(package, f"pip install {package}")
