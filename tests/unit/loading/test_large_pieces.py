"""Large pieces of memory go back to the system while weights are quantized."""

from __future__ import annotations

import subprocess
import sys

import pytest

QUANTIZE = """
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from compat.loading.memory import large_pieces_given_back

def own_memory():
    (line,) = (l for l in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in l)
    return int(line.split()[1]) * 1024

warm = [torch.ones(2**21) for _ in range(2)]
del warm  # malloc takes such pieces from its heap from now on
before = own_memory()
with large_pieces_given_back() if sys.argv[1] == "given back" else nullcontext():
    kept, layers = [], [torch.ones(2**21) for _ in range(16)]
    for place in range(16):
        kept.append(torch.ones(2**17))  # in 4 bit, where there is room
        layers[place] = None
        layers.append(torch.ones(2**21))
        layers[-1] = None
    print(own_memory() - before - sum(one.nbytes for one in kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much it has given")
def test_what_is_freed_beside_what_stays_is_given_back():
    def not_given_back(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", QUANTIZE, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert not_given_back("given back") < 4 * 2**20
    assert not_given_back("kept") > 32 * 2**20
