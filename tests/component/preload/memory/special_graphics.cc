// SPDX-License-Identifier: Apache-2.0

#include <iostream>
#include <map>

#include "tests/component/preload/memory/special.h"

namespace {

std::map<std::string, unsigned> objects;
std::map<std::string, CUgraphicsResource> resources;
std::map<std::string, CUcontext> contexts;
CUstream const kDefault = nullptr;

// Elements are four floats.
CUresult MakeImage(const std::string& name, unsigned flags, std::istringstream& words) {
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  unsigned levels = 1;
  shape.Format = CU_AD_FORMAT_FLOAT;
  shape.NumChannels = 4;
  shape.Flags = flags;
  words >> shape.Width >> shape.Height >> shape.Depth >> levels;
  const CUDA_ARRAY3D_DESCRIPTOR& made = shape;
  return Cu("hamiSimGraphicsImage", &objects[name], &made, levels);
}

CUresult Register(const std::string& kind, CUgraphicsResource* resource, unsigned object) {
  if (kind == "buffer") return Cu("cuGraphicsGLRegisterBuffer", resource, object, 0U);
  if (kind == "image") return Cu("cuGraphicsGLRegisterImage", resource, object, 0x0de1U, 0U);
  if (kind == "video") return Cu("cuGraphicsVDPAURegisterVideoSurface", resource, object, 0U);
  if (kind == "output") return Cu("cuGraphicsVDPAURegisterOutputSurface", resource, object, 0U);
  void* image = reinterpret_cast<void*>(uintptr_t{object});
  return Cu("cuGraphicsEGLRegisterImage", resource, image, 0U);
}

// Looks at a mapped resource; nothing is shown after an error.
CUresult Look(const std::string& how, CUgraphicsResource resource, std::istringstream& words) {
  CUdeviceptr pointer = 1;
  size_t bytes = 1;
  CUarray array = nullptr;
  CUmipmappedArray mipmap = nullptr;
  CUeglFrame frame = {};
  unsigned index = 0;
  unsigned level = 0;
  if (how == "pointer") {
    const CUresult result = Cu("cuGraphicsResourceGetMappedPointer_v2", &pointer, &bytes, resource);
    if (result != CUDA_SUCCESS && (pointer != 1 || bytes != 1)) return CUDA_ERROR_ILLEGAL_STATE;
    return result;
  }
  if (how == "mipmap") {
    const CUresult result = Cu("cuGraphicsResourceGetMappedMipmappedArray", &mipmap, resource);
    return result != CUDA_SUCCESS && mipmap != nullptr ? CUDA_ERROR_ILLEGAL_STATE : result;
  }
  words >> index >> level;
  if (how == "frame") {
    return Cu("cuGraphicsResourceGetMappedEglFrame", &frame, resource, index, level);
  }
  const CUresult result = Cu("cuGraphicsSubResourceGetMappedArray", &array, resource, index, level);
  return result != CUDA_SUCCESS && array != nullptr ? CUDA_ERROR_ILLEGAL_STATE : result;
}

// By one of the four forms: "map", "async", and with the thread's default stream.
CUresult MapOld(const std::string& form, unsigned buffer) {
  CUdeviceptr pointer = 0;
  size_t bytes = 0;
  if (form == "map") return Cu("cuGLMapBufferObject_v2", &pointer, &bytes, buffer);
  if (form == "map_ptds") return Cu("cuGLMapBufferObject_v2_ptds", &pointer, &bytes, buffer);
  if (form == "async") {
    return Cu("cuGLMapBufferObjectAsync_v2", &pointer, &bytes, buffer, kDefault);
  }
  return Cu("cuGLMapBufferObjectAsync_v2_ptsz", &pointer, &bytes, buffer, kDefault);
}

bool DoResources(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string other;
  if (verb == "register") {
    std::string kind;
    words >> kind >> name >> other;
    Answer(Register(kind, &resources[name], objects.at(other)));
  } else if (verb == "unregister") {
    words >> name;
    Answer(Cu("cuGraphicsUnregisterResource", resources.at(name)));
  } else if (verb == "mapres") {
    words >> name;
    Answer(Cu("cuGraphicsMapResources", 1U, &resources.at(name), kDefault));
  } else if (verb == "unmapres") {
    words >> name;
    Answer(Cu("cuGraphicsUnmapResources", 1U, &resources.at(name), kDefault));
  } else if (verb == "look") {
    words >> other >> name;
    Answer(Look(other, resources.at(name), words));
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool DoGraphics(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string form;
  size_t bytes = 0;
  if (verb == "glbuffer") {
    words >> name >> bytes;
    Answer(Cu("hamiSimGraphicsBuffer", &objects[name], bytes));
  } else if (verb == "glimage") {
    words >> name;
    Answer(MakeImage(name, 0, words));
  } else if (verb == "gllayers") {
    words >> name;
    Answer(MakeImage(name, HAMI_CUDA_ARRAY3D_LAYERED, words));
  } else if (verb == "gldelete") {
    words >> name;
    Answer(Cu("hamiSimGraphicsDelete", objects.at(name)));
  } else if (verb.starts_with("glctx") || verb.starts_with("vdpctx")) {
    words >> name;
    CUcontext* context = &contexts[name];
    void* const none = nullptr;
    const bool gl = verb.starts_with("glctx");
    const bool old = verb.ends_with('1');
    Answer(gl ? Cu(old ? "cuGLCtxCreate" : "cuGLCtxCreate_v2", context, 0U, 0)
              : Cu(old ? "cuVDPAUCtxCreate" : "cuVDPAUCtxCreate_v2", context, 0U, 0, 0U, none));
  } else if (verb == "unglctx") {
    words >> name;
    Answer(Cu("cuCtxDestroy_v2", contexts.at(name)));
  } else if (verb == "oldregister") {
    words >> name;
    Answer(Cu("cuGLRegisterBufferObject", objects.at(name)));
  } else if (verb == "oldunregister") {
    words >> name;
    Answer(Cu("cuGLUnregisterBufferObject", objects.at(name)));
  } else if (verb == "oldmap") {
    words >> form >> name;
    Answer(MapOld(form, objects.at(name)));
  } else if (verb == "oldunmap") {
    words >> name;
    Answer(Cu("cuGLUnmapBufferObject", objects.at(name)));
  } else {
    return DoResources(verb, words);
  }
  return true;
}
