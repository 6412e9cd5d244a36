# SPDX-License-Identifier: Apache-2.0
"""A node with two GPUs. How the allocators of 1.34, 1.35 and 1.36 differ there, and that claims
written as the README of deploy says work with all of them."""

import json

import kubernetes
import pytest
from dra import DRIVER, GPU_MIB, claim, container, different_gpus, pod, request

OLD = ("1.34", "1.35")  # their allocators take one GPU twice for `count: 2`


@pytest.fixture(scope="module")
def two_gpus(installed_driver):
  with installed_driver.other_gpus(2):
    yield installed_driver


@pytest.fixture
def gpus_of():
  """Names of the GPUs that a claim has been given."""

  def read(tenants, name):
    results = tenants.claim(name)["status"]["allocation"]["devices"]["results"]
    return [result["device"] for result in results]

  return read


def count_of(number):
  body = claim("pair")
  body["spec"]["devices"]["requests"][0]["exactly"]["count"] = number
  return body


def test_one_device_for_each_slice_on_1_34(two_gpus, version):
  """Its allocator looks at no other device of a slice when the first one is full."""
  found = [[device["name"] for device in item["spec"]["devices"]] for item in two_gpus.slices()]
  assert sorted(found) == ([["hami-gpu-0"], ["hami-gpu-1"]] if version == "1.34" else
                           [["hami-gpu-0", "hami-gpu-1"]])


def test_the_second_gpu_is_used_when_the_first_is_full(two_gpus, tenants, gpus_of):
  for name in ("one", "two"):
    tenants.run(name, memory="20Gi")
  tenants.start("three", memory="20Gi")
  tenants.wait_event("three", "FailedScheduling", "cannot allocate all claims")
  assert sorted(gpus_of(tenants, "one") + gpus_of(tenants, "two")) == ["hami-gpu-0", "hami-gpu-1"]


def test_a_container_sees_no_gpu_but_its_own(two_gpus, tenants, gpus_of):
  """Though the image asks for all."""
  tenants.run("first", memory="20Gi")
  tenants.run("second", memory="20Gi")
  seen = {name: tenants.inside(name, "nvidia-smi", "-L") for name in ("first", "second")}
  uuids = {device["name"]: device["attributes"]["uuid"]["string"]
           for item in two_gpus.slices() for device in item["spec"]["devices"]}
  for name, said in seen.items():
    [line] = said.splitlines()
    assert uuids[gpus_of(tenants, name)[0]] in line
    assert "NVIDIA_VISIBLE_DEVICES=void" in tenants.inside(name, "env")


def test_requests_with_distinct_uuids_get_two_gpus(two_gpus, tenants, gpus_of):
  tenants.create(claim("pair", request("one", memory="3Gi", cores=20),
                       request("two", memory="2Gi", cores=20), constraints=different_gpus()),
                 pod("pair", container("both"), container("one", claims=("gpu/one",))))
  tenants.wait_running("pair")
  assert sorted(gpus_of(tenants, "pair")) == ["hami-gpu-0", "hami-gpu-1"]
  lines = tenants.inside("pair", "nvidia-smi", "--query-gpu=memory.total",
                         "--format=csv,noheader", container_name="both").splitlines()
  assert sorted(lines) == ["2048 MiB", "3072 MiB"]
  assert tenants.slice_mib("pair", container_name="one") == 3 * 1024


def test_requests_without_the_constraint_share_a_gpu(two_gpus, tenants, gpus_of):
  tenants.create(claim("pair", request("one", memory="3Gi"), request("two", memory="2Gi")),
                 pod("pair"))
  tenants.wait_running("pair")
  assert len(set(gpus_of(tenants, "pair"))) == 1
  assert tenants.slice_mib("pair") == 5 * 1024


def refusal_of(tenants, body):
  """What the API server says against a claim, and against a template of it."""
  with pytest.raises(kubernetes.client.ApiException) as refused:
    tenants.create(body)
  with pytest.raises(kubernetes.client.ApiException) as template_refused:
    tenants.cluster.resource.create_namespaced_resource_claim_template(tenants.name, {
        "metadata": {"name": "slices"}, "spec": {"spec": body["spec"]}})
  said = [json.loads(problem.value.body)["message"] for problem in (refused, template_refused)]
  assert said[0].split("denied request: ")[1] == said[1].split("denied request: ")[1]
  return said[0]


def test_count_two_is_refused_where_it_gives_one_gpu_twice(two_gpus, tenants, version, gpus_of):
  if version in OLD:
    refusal = refusal_of(tenants, count_of(2))
    assert f"count must be 1 for {DRIVER}" in refusal
    assert f"distinctAttribute: {DRIVER}/uuid" in refusal
    return
  tenants.create(count_of(2), pod("pair"))
  tenants.wait_running("pair")
  assert sorted(gpus_of(tenants, "pair")) == ["hami-gpu-0", "hami-gpu-1"]
  assert len(tenants.inside("pair", "nvidia-smi", "-L").splitlines()) == 2


def test_all_is_refused_where_it_ends_the_scheduler(two_gpus, tenants, version, gpus_of):
  body = claim("all", request())
  body["spec"]["devices"]["requests"][0]["exactly"]["allocationMode"] = "All"
  if version in OLD:
    assert f"allocationMode must not be All for {DRIVER}" in refusal_of(tenants, body)
    return
  tenants.create(body, pod("all"))
  tenants.wait_running("all")
  assert sorted(gpus_of(tenants, "all")) == ["hami-gpu-0", "hami-gpu-1"]
  said = tenants.inside("all", "nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader")
  assert said.splitlines() == [f"{GPU_MIB} MiB"] * 2


def test_the_policy_leaves_other_claims_alone(tenants, version):
  if version not in OLD:
    pytest.skip("there is no policy for claims")
  other = count_of(2)
  other["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] = "gpu.example.com"
  tenants.create(count_of(1), {**other, "metadata": {"name": "other"}})
