// SPDX-License-Identifier: Apache-2.0
//
// The graphics side of the simulated driver: what a test calls in the place of OpenGL, EGL or VDPAU
// to have something to register with CUDA. libcuda.so.1 of the simulation exports these functions,
// the vendor's never does; they are looked up by dlsym. Thread-safe; cuInit comes first.
//
// An object takes memory of the device of the current context (of device 0 without one), in this
// process, as memory of a graphics interface does. The first object stands for the making of a
// graphics context: without one, registering is CUDA_ERROR_INVALID_GRAPHICS_CONTEXT.

#pragma once

#include "api/cuda/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// A buffer of so many bytes (glBufferData). CUDA_ERROR_OUT_OF_MEMORY: it does not fit.
CUresult hamiSimGraphicsBuffer(unsigned int* name, size_t bytes);

// A texture of this shape with so many levels. Its name serves for cuGraphicsGLRegisterImage and
// the VDPAU surfaces; as a pointer it is an EGLImage.
CUresult hamiSimGraphicsImage(unsigned int* name, const CUDA_ARRAY3D_DESCRIPTOR* shape,
                              unsigned int levels);

// Gives the memory back. CUDA_ERROR_INVALID_VALUE: no such object, or it is registered.
CUresult hamiSimGraphicsDelete(unsigned int name);

#ifdef __cplusplus
}
#endif
