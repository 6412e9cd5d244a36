// SPDX-License-Identifier: Apache-2.0
//
// A CUDA program that takes memory through the variants of calls which the other test programs do
// not use. Each line of its standard input is "take SYMBOL" or "give" (undoes the last take);
// each is answered by "ok", "error N" or "none" (the driver has no such function). SYMBOL is the
// call that takes memory, or, where it stands behind a slash, the one that gives it back.
//
//   variants FILE    an image of code with variables, for those that load

#include <dlfcn.h>

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "api/cuda/functions.h"

namespace {

constexpr size_t kBytes = size_t{64} << 20;

void* driver_handle = nullptr;

struct Missing {
  CUresult result = CUDA_ERROR_NOT_FOUND;
};

// A function of the driver by its exported name. The arguments must have the exact types.
template <typename... Arguments>
CUresult Cu(const std::string& name, Arguments... arguments) {
  void* found = dlsym(driver_handle, name.c_str());
  if (found == nullptr) throw Missing();
  return reinterpret_cast<CUresult (*)(Arguments...)>(found)(arguments...);
}

void Require(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  std::cerr << "variants: " << what << " error " << static_cast<int>(result) << std::endl;
  std::exit(1);
}

std::string image;
std::string image_file;
std::function<CUresult()> give;

CUresult MakeContext(const std::string& symbol, const std::string& end) {
  CUcontext context = nullptr;
  CUresult result;
  if (symbol == "cuCtxCreate_v3") {
    result = Cu(symbol, &context, static_cast<CUexecAffinityParam*>(nullptr), 0, 0U, 0);
  } else if (symbol == "cuCtxCreate_v4") {
    result = Cu(symbol, &context, static_cast<CUctxCreateParams*>(nullptr), 0U, 0);
  } else {
    result = Cu(symbol, &context, 0U, 0);
  }
  give = [=] { return Cu(end, context); };
  return result;
}

CUresult RetainPrimary(const std::string& end) {
  static CUcontext context;
  give = [=] { return Cu(end, 0); };
  return Cu("cuDevicePrimaryCtxRetain", &context, 0);
}

CUresult Plain(const std::string& symbol, const std::string& end) {
  if (symbol == "cuMemAlloc" || symbol == "cuMemAllocPitch") {  // of CUDA 2: 32 bits wide
    static unsigned address;
    unsigned pitch = 0;
    give = [=] { return Cu(end, address); };
    return symbol == "cuMemAlloc" ? Cu(symbol, &address, unsigned{kBytes})
                                  : Cu(symbol, &address, &pitch, 1U << 20, 64U, 4U);
  }
  CUdeviceptr address = 0;
  CUresult result = Cu(symbol, &address, kBytes);
  give = [=] { return Cu(end, address); };
  return result;
}

CUresult FromPool(const std::string& symbol, const std::string& end) {
  CUdeviceptr address = 0;
  CUmemoryPool pool = nullptr;
  Require(Cu("cuDeviceGetDefaultMemPool", &pool, 0), "default pool");
  const CUresult result = symbol.starts_with("cuMemAllocFromPool")
                              ? Cu(symbol, &address, kBytes, pool, CUstream{})
                              : Cu(symbol, &address, kBytes, CUstream{});
  give = [=] {
    const CUresult freed = end == "cuMemFree_v2" ? Cu(end, address) : Cu(end, address, CUstream{});
    if (freed != CUDA_SUCCESS) return freed;
    // The pool keeps what is freed until the stream has been waited for; its account is brought up
    // to date when somebody asks.
    size_t left = 0;
    size_t all = 0;
    Require(Cu("cuCtxSynchronize"), "cuCtxSynchronize");
    return Cu("cuMemGetInfo_v2", &left, &all);
  };
  return result;
}

template <typename Shape>
CUresult Array(const std::string& symbol, Shape shape) {
  CUarray array = nullptr;
  shape.Width = 4096;
  shape.Height = 4096;
  shape.Format = CU_AD_FORMAT_FLOAT;
  shape.NumChannels = 1;
  const CUresult result = Cu(symbol, &array, static_cast<const Shape*>(&shape));
  give = [=] { return Cu("cuArrayDestroy", array); };
  return result;
}

CUresult Load(const std::string& symbol) {
  if (symbol.starts_with("cuLibrary")) {
    CUlibrary library = nullptr;
    const CUresult result =
        Cu(symbol, &library, image_file.c_str(), static_cast<CUjit_option*>(nullptr),
           static_cast<void**>(nullptr), 0U, static_cast<CUlibraryOption*>(nullptr),
           static_cast<void**>(nullptr), 0U);
    give = [=] { return Cu("cuLibraryUnload", library); };
    return result;
  }
  CUmodule module = nullptr;
  CUresult result;
  if (symbol == "cuModuleLoad") {
    result = Cu(symbol, &module, image_file.c_str());
  } else if (symbol == "cuModuleLoadDataEx") {
    result = Cu(symbol, &module, static_cast<const void*>(image.data()), 0U,
                static_cast<CUjit_option*>(nullptr), static_cast<void**>(nullptr));
  } else {
    result = Cu(symbol, &module, static_cast<const void*>(image.data()));
  }
  give = [=] { return Cu("cuModuleUnload", module); };
  return result;
}

// A stream that captures an allocation and its release, begun and ended in the given forms.
CUresult Capture(const std::string& begin, CUgraph* graph) {
  const std::string form = begin.ends_with("_ptsz") ? "_ptsz" : "";
  CUstream stream = nullptr;
  CUdeviceptr address = 0;
  CUresult result;
  if (begin.starts_with("cuStreamBeginRecapture")) {
    result = Capture("cuStreamBeginCapture_v2", graph);
    if (result != CUDA_SUCCESS) return result;
  }
  Require(Cu("cuStreamCreate", &stream, 1U), "cuStreamCreate");
  if (begin.starts_with("cuStreamBeginCaptureToGraph")) {
    Require(Cu("cuGraphCreate", graph, 0U), "cuGraphCreate");
    result =
        Cu(begin, stream, *graph, static_cast<const CUgraphNode*>(nullptr),
           static_cast<const CUgraphEdgeData*>(nullptr), size_t{0}, CU_STREAM_CAPTURE_MODE_GLOBAL);
  } else if (begin.starts_with("cuStreamBeginRecapture")) {
    result = Cu(begin, stream, CU_STREAM_CAPTURE_MODE_GLOBAL, *graph,
                static_cast<CUgraphRecaptureCallback>(nullptr), static_cast<void*>(nullptr));
  } else if (begin.starts_with("cuStreamBeginCaptureToCig")) {
    result = Cu(begin, stream, static_cast<CUstreamCigCaptureParams*>(nullptr));
  } else if (begin.starts_with("cuStreamBeginCapture_v2")) {
    result = Cu(begin, stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  } else {
    result = Cu(begin, stream);
  }
  const std::string end = form.empty() ? "cuStreamEndCapture" : "cuStreamEndCapture_ptsz";
  if (result == CUDA_SUCCESS) {
    result = Cu("cuMemAllocAsync" + form, &address, kBytes, stream);
    if (result == CUDA_SUCCESS) result = Cu("cuMemFreeAsync" + form, address, stream);
    const CUresult ended = Cu(end, stream, graph);
    if (result == CUDA_SUCCESS) result = ended;
  }
  Cu("cuStreamDestroy_v2", stream);
  return result;
}

// A graph that takes memory, instantiated, uploaded and launched in the given form.
CUresult Graph(const std::string& symbol, const std::string& begin) {
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  CUresult result = Capture(begin, &graph);
  if (result != CUDA_SUCCESS) return result;
  const std::string form = symbol.ends_with("_ptsz") ? "_ptsz" : "";
  if (symbol.starts_with("cuGraphInstantiateWithParams")) {
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {};
    result = Cu(symbol, &exec, graph, &params);
  } else if (symbol == "cuGraphInstantiate" || symbol == "cuGraphInstantiate_v2") {
    result = Cu(symbol, &exec, graph, static_cast<CUgraphNode*>(nullptr),
                static_cast<char*>(nullptr), size_t{0});
  } else {
    result = Cu("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  }
  if (result == CUDA_SUCCESS)
    result = Cu(form.empty() ? "cuGraphUpload" : "cuGraphUpload_ptsz", exec, CUstream{});
  if (result == CUDA_SUCCESS) result = Cu("cuGraphLaunch" + form, exec, CUstream{});
  if (result == CUDA_SUCCESS) result = Cu("cuCtxSynchronize");
  give = [=] {
    Cu("cuGraphExecDestroy", exec);
    Cu("cuGraphDestroy", graph);
    return Cu("cuDeviceGraphMemTrim", 0);
  };
  return result;
}

// The library's file name that a look-up by name leads to.
std::string Lookup(const std::string& symbol) {
  void* found = nullptr;
  const CUresult result = symbol.starts_with("cuGetProcAddress_v2")
                              ? Cu(symbol, "cuMemAlloc", &found, 12000, cuuint64_t{0},
                                   static_cast<CUdriverProcAddressQueryResult*>(nullptr))
                              : Cu(symbol, "cuMemAlloc", &found, 12000, cuuint64_t{0});
  Dl_info info = {};
  if (result != CUDA_SUCCESS || dladdr(found, &info) == 0) return "nowhere";
  const std::string path = info.dli_fname;
  return path.substr(path.rfind('/') + 1);
}

CUresult Take(const std::string& what) {
  const size_t slash = what.find('/');
  const std::string take = what.substr(0, slash);
  const std::string end = slash == std::string::npos ? "" : what.substr(slash + 1);
  const auto ends_with = [&](const char* usual) { return end.empty() ? std::string(usual) : end; };
  if (take.starts_with("cuCtxCreate")) return MakeContext(take, ends_with("cuCtxDestroy_v2"));
  if (take.starts_with("cuDevicePrimary")) return RetainPrimary(end);
  if (take == "cuMemAlloc") return Plain(take, "cuMemFree");
  if (take == "cuMemAllocPitch") return Plain(take, "cuMemFree");
  if (take == "cuMemAlloc_v2") return Plain(take, ends_with("cuMemFree_v2"));
  if (take.starts_with("cuMemAlloc")) return FromPool(take, ends_with("cuMemFreeAsync"));
  if (take == "cuArrayCreate") return Array(take, CUDA_ARRAY_DESCRIPTOR_v1{});
  if (take == "cuArrayCreate_v2") return Array(take, CUDA_ARRAY_DESCRIPTOR{});
  if (take == "cuArray3DCreate") return Array(take, CUDA_ARRAY3D_DESCRIPTOR_v1{});
  if (take == "cuArray3DCreate_v2") return Array(take, CUDA_ARRAY3D_DESCRIPTOR{});
  if (take.starts_with("cuModuleLoad") || take.starts_with("cuLibraryLoad")) return Load(take);
  if (take.starts_with("cuGraph")) return Graph(take, "cuStreamBeginCapture_v2");
  if (take.starts_with("cuStreamBegin")) return Graph("cuGraphInstantiateWithFlags", take);
  std::cerr << "variants: what is '" << what << "'?" << std::endl;
  std::exit(2);
}

}  // namespace

int main(int count, char** arguments) {
  driver_handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver_handle == nullptr || count != 2) return 2;
  image_file = arguments[1];
  std::ostringstream text;
  text << std::ifstream(image_file, std::ios::binary).rdbuf() << '\0';
  image = text.str();
  CUcontext primary = nullptr;
  Require(Cu("cuInit", 0U), "cuInit");
  std::string line;
  while (std::getline(std::cin, line)) {
    CUresult result = CUDA_SUCCESS;
    try {
      if (line.starts_with("lookup ")) {
        std::cout << Lookup(line.substr(7)) << std::endl;
        continue;
      }
      if (line.starts_with("null ")) {
        const uint64_t no = 0;
        std::cout << static_cast<int>(Cu(line.substr(5), no, no, no, no, no, no)) << std::endl;
        continue;
      }
      if (line == "enter") {
        result = Cu("cuDevicePrimaryCtxRetain", &primary, 0);
        if (result == CUDA_SUCCESS) result = Cu("cuCtxSetCurrent", primary);
      } else {
        result = line == "give" ? give() : Take(line.substr(5));
      }
    } catch (const Missing&) {
      std::cout << "none" << std::endl;
      continue;
    }
    if (result == CUDA_SUCCESS) {
      std::cout << "ok" << std::endl;
    } else {
      std::cout << "error " << static_cast<int>(result) << std::endl;
    }
  }
}
