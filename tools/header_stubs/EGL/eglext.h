// SPDX-License-Identifier: Apache-2.0
// The few names that the vendor headers need from <EGL/eglext.h>, so that they can be read
// anywhere.
#pragma once

