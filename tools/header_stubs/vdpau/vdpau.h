// SPDX-License-Identifier: Apache-2.0
// The few names that the vendor headers need from <vdpau/vdpau.h>, so that they can be read
// anywhere.
#pragma once
typedef unsigned int VdpDevice;
typedef unsigned int VdpFuncId;
typedef unsigned int VdpStatus;
typedef VdpStatus VdpGetProcAddress(VdpDevice, VdpFuncId, void**);
typedef unsigned int VdpVideoSurface;
typedef unsigned int VdpOutputSurface;
