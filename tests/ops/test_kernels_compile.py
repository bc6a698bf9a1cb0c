"""The kernels compile for the GPU that they are meant for. That needs Triton and no GPU."""

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

PROGRAM = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from wholenet.ops import triton_depthwise, triton_norm

HOPPER = GPUTarget("cuda", 90, 32)
TYPES = {name: "*bf16" for name in ("x", "y", "g", "out")} | {name: "i32" for name in ("rows", "H", "W", "C", "N")}


def compiles(kernel, w="*fp32", **constants):
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else TYPES.get(name, "*fp32") for name in names}
    source = ASTSource(kernel, signature, {(names.index(name),): value for name, value in constants.items()})
    assert ".target sm_90" in compile(source, target=HOPPER).asm["ptx"]
    print(kernel.__name__)


for size in (3, 5, 7):
    blocks = {"K": size, "BLOCK_W": 16, "BLOCK_C": 64}
    compiles(triton_depthwise._correlate, **blocks)
    compiles(triton_depthwise._weight_gradient, TAPS=triton.next_power_of_2(size), ROWS=64, **blocks)
blocks = {"BLOCK": triton_norm.BLOCK, "BLOCK_C": 64}
compiles(triton_norm._statistics, CHUNK=triton_norm.CHUNK, **blocks)
for activation in range(len(triton_norm.ACTIVATIONS)):
    compiles(triton_norm._apply, ACTIVATION=activation, **blocks)
    compiles(triton_norm._sums, ACTIVATION=activation, CHUNK=triton_norm.CHUNK, **blocks)
    compiles(triton_norm._to_input, ACTIVATION=activation, **blocks)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Triton compiles on Linux")
def test_every_kernel_compiles_for_a_hopper_gpu(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path)}
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3 * 2 + 1 + 4 * 3
