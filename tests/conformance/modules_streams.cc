// SPDX-License-Identifier: Apache-2.0
//
// Modules, launches, streams, events.

#include <cstring>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CASE(modules_bad_image, "Driver API, Module Management, cuModuleLoadData: INVALID_IMAGE, _PTX") {
  Start();
  CUmodule module = nullptr;
  const CUresult result =
      Cu("cuModuleLoadData", &module, static_cast<const void*>("this is no image at all"));
  CHECK(result == CUDA_ERROR_INVALID_IMAGE || result == CUDA_ERROR_INVALID_PTX ||
        result == CUDA_ERROR_NO_BINARY_FOR_GPU);
}

CASE(modules_functions, "Driver API, Module Management, cuModuleGetFunction: NOT_FOUND") {
  Start();
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  OK("cuModuleLoadData", &module, static_cast<const void*>(kPtx));
  OK("cuModuleGetFunction", &function, module, "hami_spin");
  GIVES(CUDA_ERROR_NOT_FOUND, "cuModuleGetFunction", &function, module, "no_such_kernel");
  OK("cuModuleUnload", module);
}

CASE(modules_launch_bounds, "Driver API, Execution Control, cuLaunchKernel: invalid dimensions") {
  Start();
  const Spinner spinner;
  unsigned long long counts = 1;
  void* parameters[] = {&counts};
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuLaunchKernel", spinner.function(), 0U, 1U, 1U, 32U, 1U, 1U, 0U,
        CUstream{nullptr}, static_cast<void**>(parameters), static_cast<void**>(nullptr));
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuLaunchKernel", spinner.function(), 1U, 1U, 1U, 4096U, 1U, 1U,
        0U, CUstream{nullptr}, static_cast<void**>(parameters), static_cast<void**>(nullptr));
}

CASE(streams_are_asynchronous, "Driver API, Streams, cuStreamQuery; Events, cuEventQuery") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUevent done = NewEvent();
  spinner.Launch(stream, 200);
  OK("cuEventRecord", done, stream);
  GIVES(CUDA_ERROR_NOT_READY, "cuStreamQuery", stream);
  GIVES(CUDA_ERROR_NOT_READY, "cuEventQuery", done);
  OK("cuStreamSynchronize", stream);
  GIVES(CUDA_SUCCESS, "cuStreamQuery", stream);
  GIVES(CUDA_SUCCESS, "cuEventQuery", done);
}

CASE(events_elapsed, "Driver API, Event Management, cuEventElapsedTime") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUevent a = NewEvent();
  CUevent b = NewEvent();
  CUevent c = NewEvent();
  CUevent untimed = nullptr;
  float value = 0;
  OK("cuEventCreate", &untimed, 2U);
  GIVES(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime", &value, a, b);  // never recorded
  OK("cuEventRecord", a, stream);
  spinner.Launch(stream, 10);
  OK("cuEventRecord", b, stream);
  spinner.Launch(stream, 40);
  OK("cuEventRecord", c, stream);
  OK("cuEventRecord", untimed, stream);
  GIVES(CUDA_ERROR_NOT_READY, "cuEventElapsedTime", &value, a, c);
  OK("cuEventSynchronize", untimed);
  CHECK(Milliseconds(a, b) > 0);
  CHECK(Milliseconds(b, c) > 2 * Milliseconds(a, b));
  GIVES(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime", &value, a, untimed);
}

CASE(streams_run_together, "Programming Guide, Concurrent Kernel Execution") {
  Start();
  if (Attribute(31) == 0) Skip("no concurrent kernels");
  const Spinner spinner;
  CUstream streams[2] = {NewStream(1), NewStream(1)};
  CUevent start[2] = {NewEvent(), NewEvent()};
  CUevent end[2] = {NewEvent(), NewEvent()};
  for (int i = 0; i < 2; ++i) {
    OK("cuEventRecord", start[i], streams[i]);
    spinner.Launch(streams[i], 100);
    OK("cuEventRecord", end[i], streams[i]);
  }
  OK("cuCtxSynchronize");
  CHECK(Milliseconds(start[1], end[0]) > 0);  // each began before the other's end
  CHECK(Milliseconds(start[0], end[1]) < 1.6F * Milliseconds(start[0], end[0]));
}

CASE(streams_legacy, "Programming Guide, Default Stream: legacy waits for blocking streams") {
  Start();
  const Spinner spinner;
  CUstream blocking = NewStream(0);
  CUstream free = NewStream(1);
  CUevent first = NewEvent();
  CUevent legacy = NewEvent();
  CUevent after = NewEvent();
  CUevent aside = NewEvent();
  spinner.Launch(blocking, 50);
  OK("cuEventRecord", first, blocking);
  spinner.Launch(nullptr, 50);
  OK("cuEventRecord", legacy, CUstream{nullptr});
  OK("cuEventRecord", aside, free);
  OK("cuEventRecord", after, blocking);
  OK("cuCtxSynchronize");
  CHECK(Milliseconds(first, legacy) > 25);  // it began behind the blocking stream's work
  CHECK(Milliseconds(legacy, after) >= 0);
  CHECK(Milliseconds(aside, legacy) > 25);  // non-blocking streams go on
}

CASE(streams_wait_event, "Driver API, Stream Management, cuStreamWaitEvent") {
  Start();
  const Spinner spinner;
  CUstream a = NewStream(1);
  CUstream b = NewStream(1);
  CUevent first = NewEvent();
  CUevent second = NewEvent();
  spinner.Launch(a, 50);
  OK("cuEventRecord", first, a);
  OK("cuStreamWaitEvent", b, first, 0U);
  OK("cuEventRecord", second, b);
  spinner.Launch(a, 50);  // what comes later is not waited for
  CUevent later = NewEvent();
  OK("cuEventRecord", later, a);
  OK("cuCtxSynchronize");
  CHECK(Milliseconds(first, second) >= 0);
  CHECK(Milliseconds(second, later) > 25);
}

}  // namespace
}  // namespace hami::conformance
