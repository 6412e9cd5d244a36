# SPDX-License-Identifier: Apache-2.0
"""NVLink and topology of a profile, as nvidia-ml-py finds them: every way to ask agrees."""

import json
import sys

import pytest
from test_clients import HAMI, Simulation

pynvml = pytest.importorskip("pynvml")

READ_TOPOLOGY = """
import json, pynvml as n
n.nvmlInit()

def link(gpu, number):
    try:
        return [
            n.nvmlDeviceGetNvLinkState(gpu, number),
            n.nvmlDeviceGetNvLinkVersion(gpu, number),
            n.nvmlDeviceGetNvLinkCapability(gpu, number, n.NVML_NVLINK_CAP_P2P_SUPPORTED),
            n.nvmlDeviceGetNvLinkRemoteDeviceType(gpu, number),
            n.nvmlDeviceGetNvLinkRemotePciInfo(gpu, number).busId,
        ]
    except n.NVMLError as error:
        return error.value

gpus = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
(field,) = n.nvmlDeviceGetFieldValues(gpus[0], [n.NVML_FI_DEV_NVLINK_LINK_COUNT])
print(json.dumps({
    "count": field.value.uiVal,
    "links": [link(gpus[0], number) for number in range(20)],
    "nvlink": [
        [n.nvmlDeviceGetP2PStatus(a, b, n.NVML_P2P_CAPS_INDEX_NVLINK) for b in gpus] for a in gpus
    ],
    "levels": [
        [n.nvmlDeviceGetTopologyCommonAncestor(a, b) for b in gpus] for a in gpus
    ],
    "nearest": [
        [n.nvmlDeviceGetIndex(b) for b in n.nvmlDeviceGetTopologyNearestGpus(a, level)]
        for a in gpus
        for level in (n.NVML_TOPOLOGY_HOSTBRIDGE, n.NVML_TOPOLOGY_NODE, n.NVML_TOPOLOGY_SYSTEM)
    ],
}))
"""

OK, NOT_SUPPORTED = 0, 5  # of nvmlGpuP2PStatus_t
INTERNAL, NODE = 0, 40  # of nvmlGpuTopologyLevel_t


@pytest.fixture
def simulation(tmp_path):
    assert HAMI.exists(), f"{HAMI} is not built (set HAMI_BUILD)"
    return Simulation(tmp_path)


def read(simulation):
    return json.loads(simulation.call(sys.executable, "-c", READ_TOPOLOGY))


def test_gpus_with_links(simulation):
    simulation.create("h200-580", 3)
    seen = read(simulation)
    assert seen["count"] == 18
    assert [found[:4] for found in seen["links"][:18]] == [[1, 6, 1, 2]] * 18
    assert seen["links"][18:] == [pynvml.NVML_ERROR_INVALID_ARGUMENT] * 2
    assert len({found[4] for found in seen["links"][:18]}) == 4
    for one in range(3):
        for other in range(3):
            assert seen["nvlink"][one][other] == (NOT_SUPPORTED if one == other else OK)
            assert seen["levels"][one][other] == (INTERNAL if one == other else NODE)
    assert seen["nearest"] == [[], [1, 2], [1, 2], [], [0, 2], [0, 2], [], [0, 1], [0, 1]]


def test_gpus_without(simulation):
    simulation.create("a10-550", 2)
    seen = read(simulation)
    assert seen["count"] == 0
    assert seen["links"] == [pynvml.NVML_ERROR_NOT_SUPPORTED] * 20
    assert seen["nvlink"] == [[NOT_SUPPORTED] * 2] * 2
