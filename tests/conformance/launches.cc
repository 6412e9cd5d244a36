// SPDX-License-Identifier: Apache-2.0
//
// Launches by other ways than cuLaunchKernel.

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CASE(launch_with_shape_on_function,
     "Driver API, Execution Control [DEPRECATED]: cuFuncSetBlockShape, cuParamSetv, cuLaunchGrid") {
  Start();
  const Spinner spinner;
  CUfunction function = spinner.function();
  CUstream stream = NewStream(1);
  CUevent start = NewEvent();
  CUevent end = NewEvent();
  // As many counts as the spinner's calibration runs: milliseconds on any device.
  unsigned long long counts = 20'000'000;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuFuncSetBlockShape", function, 0, 1, 1);
  OK("cuFuncSetBlockShape", function, 32, 1, 1);
  OK("cuFuncSetSharedSize", function, 0U);
  OK("cuParamSetSize", function, static_cast<unsigned>(sizeof(counts)));
  OK("cuParamSetv", function, 0, static_cast<void*>(&counts),
     static_cast<unsigned>(sizeof(counts)));
  OK("cuEventRecord", start, stream);
  OK("cuLaunchGridAsync", function, 1, 1, stream);
  OK("cuEventRecord", end, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(Milliseconds(start, end) > 1);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuLaunchGrid", function, 0, 1);
  OK("cuLaunchGrid", function, 2, 1);
  OK("cuLaunch", function);
  OK("cuCtxSynchronize");
}

CUDA_LAUNCH_PARAMS OneBlock(CUfunction function, CUstream stream, void** params) {
  return {function, 1, 1, 1, 32, 1, 1, 0, stream, params};
}

CUresult LaunchOnAll(CUDA_LAUNCH_PARAMS* launches, unsigned count) {
  return Cu("cuLaunchCooperativeKernelMultiDevice", launches, count, 0U);
}

CASE(launch_cooperative_devices,
     "Driver API, cuLaunchCooperativeKernelMultiDevice: streams, one for each device, all blocks "
     "resident") {
  Start();
  constexpr int kMultiDeviceLaunch = 96;
  if (Attribute(kMultiDeviceLaunch) == 0) Skip("no cooperative launch on several devices");
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUevent start = NewEvent();
  CUevent end = NewEvent();
  unsigned long long counts = 20'000'000;
  void* params[] = {&counts};
  CUDA_LAUNCH_PARAMS launches[2] = {OneBlock(spinner.function(), stream, params),
                                    OneBlock(spinner.function(), stream, params)};
  OK("cuEventRecord", start, stream);
  ExpectResult(LaunchOnAll(launches, 1), CUDA_SUCCESS, "one device", __LINE__);
  OK("cuEventRecord", end, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(Milliseconds(start, end) > 1);
  CHECK(LaunchOnAll(launches, 2) == CUDA_ERROR_INVALID_VALUE);  // the same device twice
  CHECK(LaunchOnAll(launches, 0) == CUDA_ERROR_INVALID_VALUE);
  launches[0].gridDimX = 1U << 20;
  CHECK(LaunchOnAll(launches, 1) == CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
  launches[0] = OneBlock(spinner.function(), nullptr, params);
  CHECK(LaunchOnAll(launches, 1) == CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace hami::conformance
