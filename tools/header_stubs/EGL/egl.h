// SPDX-License-Identifier: Apache-2.0
// The few names that the vendor headers need from <EGL/egl.h>, so that they can be read anywhere.
#pragma once
typedef void* EGLImageKHR;
typedef void* EGLStreamKHR;
typedef void* EGLSyncKHR;
typedef int EGLint;
