// SPDX-License-Identifier: Apache-2.0
// The few names that the vendor headers need from <GL/gl.h>, so that they can be read anywhere.
#pragma once
typedef unsigned int GLenum;
typedef unsigned int GLuint;
