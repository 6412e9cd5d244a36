# SPDX-License-Identifier: Apache-2.0
"""The images of kernels.cu, made by nvcc without a GPU and kept in .cache/kernels until the source
or the compiler changes. Callers take turns by a lock, so tests may run side by side."""

from __future__ import annotations

import fcntl
import hashlib
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCE = pathlib.Path(__file__).resolve().parent / "kernels.cu"
CLIENTS = ROOT / ".cache" / "clients"
NVCC = CLIENTS / "lib" / "python3.11" / "site-packages" / "nvidia" / "cu13" / "bin" / "nvcc"
# Compute capabilities with a cubin of their own; the fat binary has the two oldest, and PTX.
CAPABILITIES = ("80", "86", "90", "100", "120")
FATBIN = [
    "-fatbin",
    "-gencode=arch=compute_80,code=[sm_80,compute_80]",
    "-gencode=arch=compute_86,code=sm_86",
    "-gencode=arch=compute_90,code=sm_90",
    "-gencode=arch=compute_100,code=sm_100",
]


def _compile(target: pathlib.Path, options: list[str]) -> None:
    command = [NVCC, "-ccbin=g++-12", *options, "-o", target, SOURCE]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"nvcc: {made.stdout}{made.stderr}"


def make_images() -> pathlib.Path:
    """The folder with kernels_sm_N.cubin, kernels.ptx and kernels.fatbin."""
    assert NVCC.exists(), f"{NVCC} is missing: run ./dev setup"
    version = subprocess.run([NVCC, "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(SOURCE.read_bytes() + version + " ".join(FATBIN).encode()).hexdigest()
    folder = ROOT / ".cache" / "kernels" / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for capability in CAPABILITIES:
                options = ["-cubin", f"-arch=sm_{capability}"]
                _compile(folder / f"kernels_sm_{capability}.cubin", options)
            _compile(folder / "kernels.ptx", ["-ptx", "-arch=compute_80"])
            _compile(folder / "kernels.fatbin", FATBIN)
            (folder / "done").touch()
    return folder


def image(folder: pathlib.Path, form: str, capability: str) -> pathlib.Path:
    return folder / (f"kernels_sm_{capability}.cubin" if form == "cubin" else f"kernels.{form}")
