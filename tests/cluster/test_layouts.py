# SPDX-License-Identifier: Apache-2.0
"""Images and pods as people have them: each container gets its slice, all of it and no more.
The same for every version of Kubernetes."""

import pytest
from dra import claim, container, pod, request

pytestmark = pytest.mark.newest_only


@pytest.mark.parametrize("image", ["tenant-debian", "tenant-rhel", "tenant-bare"])
def test_an_image(tenants, image):
  tenants.create(claim("tenant", request(memory="2Gi")), pod("tenant", container(image=image)))
  tenants.wait_running("tenant")
  assert "0MiB / 2048MiB" in tenants.inside("tenant", "nvidia-smi")
  assert tenants.tenant("tenant", "alloc", "1Gi", "alloc", "2Gi").splitlines() == [
      "alloc 1Gi CUDA_SUCCESS", "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY"]


def test_an_images_own_preload_stays(tenants):
  tenants.create(claim("tenant"), pod("tenant", container(image="tenant-bare")))
  tenants.wait_running("tenant")
  assert tenants.inside("tenant", "show", "TENANT_MARK") == "TENANT_MARK=loaded\n"
  preloaded = tenants.inside("tenant", "cat", "/etc/ld.so.preload").split()
  assert sorted(preloaded) == ["/usr/lib/tenant/libmark.so", "/usr/local/vgpu/libvgpu.so"]
  assert tenants.slice_mib("tenant") == 1024


def test_without_a_claim_there_is_no_gpu(tenants):
  """Though the image asks for all."""
  tenants.create(pod("tenant", container(claims=()), claims={}))
  tenants.wait_running("tenant")
  assert "NVIDIA_VISIBLE_DEVICES=all" in tenants.inside("tenant", "env")
  with pytest.raises(AssertionError, match="libcuda.so.1: cannot open shared object file"):
    tenants.tenant("tenant", "info")


def test_a_read_only_root_file_system(tenants):
  tenants.create(claim("tenant"), pod("tenant", container(
      securityContext={"readOnlyRootFilesystem": True})))
  tenants.wait_running("tenant")
  assert "Read-only" in tenants.inside("tenant", "sh", "-c", "touch /etc/mark 2>&1 || true")
  assert tenants.tenant("tenant", "alloc", "2Gi") == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY\n"
  assert tenants.slice_mib("tenant") == 1024


@pytest.mark.parametrize("image", ["tenant-debian", "tenant-bare"])
def test_a_user_without_rights(tenants, image):
  tenants.create(claim("tenant"), pod("tenant", container(image=image, securityContext={
      "runAsUser": 12345, "runAsGroup": 12345, "runAsNonRoot": True, "privileged": False,
      "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
      "seccompProfile": {"type": "RuntimeDefault"}})))
  tenants.wait_running("tenant")
  assert tenants.inside("tenant", "id", "-u") == "12345\n"
  assert tenants.tenant("tenant", "alloc", "2Gi") == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY\n"
  assert tenants.slice_mib("tenant") == 1024


def test_an_init_container_and_a_sidecar(tenants):
  """They run one after the other and side by side, on one slice."""
  tenants.create(claim("tenant"), pod(
      "tenant", container("main"),
      initContainers=[container("first", command=["tenant", "info", "alloc", "1000Mi"]),
                      container("beside", restartPolicy="Always")]))
  tenants.wait_running("tenant")
  said = tenants.cluster.core.read_namespaced_pod_log("tenant", tenants.name, container="first",
                                                      _preload_content=False).data.decode()
  assert "total_mib=1024 " in said
  assert "alloc 1000Mi CUDA_ERROR_OUT_OF_MEMORY" in said  # with its context it is too much
  for name in ("main", "beside"):
    assert tenants.slice_mib("tenant", container_name=name) == 1024


def test_containers_of_a_claim_share_its_slice(tenants):
  tenants.create(claim("tenant", request(memory="4Gi")),
                 pod("tenant", container("one"), container("two")))
  tenants.wait_running("tenant")
  with tenants.holding("tenant", "2Gi", container_name="one"):
    said = tenants.tenant("tenant", "alloc", "2Gi", "alloc", "1Gi", container_name="two")
    assert said.splitlines() == ["alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY", "alloc 1Gi CUDA_SUCCESS"]
  said = tenants.tenant("tenant", "alloc", "3Gi", container_name="two")
  assert said == "alloc 3Gi CUDA_SUCCESS\n"


def test_pods_of_a_claim_share_its_slice(tenants):
  tenants.create(claim("tenant", request(memory="4Gi")), pod("one", claims={"gpu": "tenant"}),
                 pod("two", claims={"gpu": "tenant"}))
  tenants.wait_running("one")
  tenants.wait_running("two")
  with tenants.holding("one", "2Gi"):
    assert tenants.tenant("two", "alloc", "2Gi") == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY\n"
  # The slice stays with the last of them.
  tenants.delete_pod("one")
  tenants.wait_gone("one")
  assert tenants.tenant("two", "alloc", "3Gi") == "alloc 3Gi CUDA_SUCCESS\n"


def test_claims_of_a_container_add_up(tenants):
  tenants.create(claim("small", request(memory="2Gi", cores=20)),
                 claim("large", request(memory="3Gi", cores=30)),
                 pod("tenant", container("both", claims=("a", "b")),
                     container("one", claims=("b",)), claims={"a": "small", "b": "large"}))
  tenants.wait_running("tenant")
  assert len(tenants.inside("tenant", "nvidia-smi", "-L").splitlines()) == 1
  assert tenants.slice_mib("tenant", container_name="both") == 5 * 1024
  assert tenants.slice_mib("tenant", container_name="one") == 3 * 1024
  said = tenants.tenant("tenant", "alloc", "4Gi", "alloc", "1Gi", container_name="both")
  assert said.splitlines() == ["alloc 4Gi CUDA_SUCCESS", "alloc 1Gi CUDA_ERROR_OUT_OF_MEMORY"]


def test_each_container_uses_one_request_of_a_claim(tenants):
  tenants.create(
      claim("tenant", request("small", memory="2Gi"), request("large", memory="3Gi")),
      pod("tenant", container("one", claims=("gpu/small",)),
          container("two", claims=("gpu/large",)), container("all")))
  tenants.wait_running("tenant")
  sizes = {name: tenants.slice_mib("tenant", container_name=name) for name in ("one", "two", "all")}
  assert sizes == {"one": 2 * 1024, "two": 3 * 1024, "all": 5 * 1024}


def test_a_pod_makes_its_claim_from_a_template(tenants, driver):
  tenants.cluster.resource.create_namespaced_resource_claim_template(tenants.name, {
      "metadata": {"name": "slices"}, "spec": {"spec": claim("any")["spec"]}})
  body = pod("tenant")
  body["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "slices"}]
  tenants.create(body)
  tenants.wait_running("tenant")
  assert tenants.slice_mib("tenant") == 1024
  tenants.delete_pod("tenant")
  tenants.wait_gone("tenant")
  driver.wait_nothing_kept()
