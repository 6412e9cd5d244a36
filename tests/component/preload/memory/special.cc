// SPDX-License-Identifier: Apache-2.0
//
// A CUDA program of the rarer calls, in the manner of script.cc: one driver call per line of its
// standard input, one line of answer ("ok", "error N", or values). Objects have names.
//
//   init | retain | unretain | reset | ctx NAME | unctx NAME | alloc NAME BYTES | free NAME
//   limit NUMBER VALUE | limitof NUMBER -> value     (by CUlimit, of the current context)
//   green NAME COUNT | ungreen NAME                  (a green context of COUNT multiprocessors)
//   enter NAME | leave                               (makes it current; makes the primary one so)
//   create NAME BYTES | release NAME | map NAME HANDLE | unmap NAME
//   multicast NAME BYTES | bind MULTICAST OFFSET HANDLE | bindat MULTICAST OFFSET MAP
//   unbind MULTICAST OFFSET BYTES                    (bind2, bindat2: by their second variants)
//   endpoint NUMBER BYTES | unendpoint NUMBER        (a logical endpoint of device 0)
//   endbind NUMBER OFFSET HANDLE | endbindat NUMBER OFFSET MAP | endunbind NUMBER OFFSET BYTES
//   checkpoint lock|save|restore|unlock|move          (of itself; move: a restore to another GPU)
//   used -> bytes                                    (total less free, of the current device)
//   sparse|deferred NAME WIDTH HEIGHT LEVELS | unsparse NAME   (0 levels: an array)
//   pool NAME BYTES | unpool NAME
//   tile NAME LEVEL X Y WIDTH HEIGHT POOL OFFSET | tail NAME OFFSET BYTES POOL OFFSET
//   whole NAME POOL OFFSET                           (POOL "-": unmaps; no offset then)
//   and tile|tail|whole ...                          (in one call with the next one)
//   hold | letgo                                     (the stream of all these; synchronises)
//   glbuffer NAME BYTES | glimage|gllayers NAME WIDTH HEIGHT DEPTH LEVELS | gldelete NAME
//   register buffer|image|egl|video|output NAME OBJECT | unregister NAME | mapres NAME
//   unmapres NAME | look pointer|mipmap NAME | look array|frame NAME INDEX LEVEL
//   oldregister OBJECT | oldmap map|map_ptds|async|async_ptsz OBJECT | oldunmap OBJECT
//   oldunregister OBJECT | glctx|glctx1|vdpctx|vdpctx1 NAME | unglctx NAME
//   import NAME BYTES | buffer NAME IMPORT OFFSET BYTES | unimport NAME   (a buffer goes by free)
//   levels NAME IMPORT WIDTH HEIGHT LEVELS | unlevels NAME   (a mipmapped array on an import)

#include "tests/component/preload/memory/special.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

namespace {

void* driver_handle = nullptr;

class Special {
 public:
  // One line; false: not understood.
  bool Do(const std::string& line);

 private:
  CUresult Retain() {
    const CUresult result = Cu("cuDevicePrimaryCtxRetain", &primary_, device_);
    return result != CUDA_SUCCESS ? result : Cu("cuCtxSetCurrent", primary_);
  }
  CUresult MakeGreen(CUgreenCtx* green, unsigned count);
  CUresult Enter(CUgreenCtx green) {
    CUcontext context = nullptr;
    const CUresult result = Cu("cuCtxFromGreenCtx", &context, green);
    return result != CUDA_SUCCESS ? result : Cu("cuCtxSetCurrent", context);
  }

  bool DoContexts(const std::string& verb, std::istringstream& words);
  bool DoGreen(const std::string& verb, std::istringstream& words);
  CUresult Create(const std::string& name, size_t bytes);
  CUresult Map(const std::string& name, const std::string& handle);
  CUresult Unmap(const std::string& name);
  CUresult MakeMulticast(const std::string& name, size_t bytes);
  bool DoPhysical(const std::string& verb, std::istringstream& words);
  bool DoMulticast(const std::string& verb, std::istringstream& words);

  CUresult MakeEndpoint(CUlogicalEndpointId id, size_t bytes);
  bool DoEndpoints(const std::string& verb, std::istringstream& words);

  CUresult Import(CUexternalMemory* external, size_t bytes);
  CUresult MapBuffer(CUdeviceptr* pointer, CUexternalMemory external, size_t offset, size_t bytes);
  bool DoExternal(const std::string& verb, std::istringstream& words);
  CUresult Checkpoint(const std::string& step);

  struct Memory {
    CUmemGenericAllocationHandle handle = 0;
    size_t bytes = 0;
  };

  CUdevice device_ = 0;
  CUcontext primary_ = nullptr;
  std::map<std::string, CUcontext> contexts_;
  std::map<std::string, CUdeviceptr> pointers_;
  std::map<std::string, CUgreenCtx> greens_;
  std::map<std::string, Memory> memories_;
  std::map<std::string, CUexternalMemory> externals_;
  std::map<std::string, CUmipmappedArray> levels_;
  std::map<std::string, CUdeviceptr> mapped_at_;
  std::map<std::string, size_t> mapped_bytes_;
};

// CUdevResource, whose layout differs between releases in everything but its size.
struct alignas(8) Resource {
  unsigned char bytes[144];
};

CUresult Special::MakeGreen(CUgreenCtx* green, unsigned count) {
  Resource all = {};
  Resource part = {};
  unsigned groups = 1;
  CUdevResourceDesc desc = nullptr;
  CUresult result = Cu("cuDeviceGetDevResource", device_, &all, 1);
  if (result != CUDA_SUCCESS) return result;
  result = Cu("cuDevSmResourceSplitByCount", &part, &groups, &all, static_cast<Resource*>(nullptr),
              0U, count);
  if (result != CUDA_SUCCESS) return result;
  result = Cu("cuDevResourceGenerateDesc", &desc, &part, 1U);
  return result != CUDA_SUCCESS ? result : Cu("cuGreenCtxCreate", green, desc, device_, 1U);
}

bool Special::DoContexts(const std::string& verb, std::istringstream& words) {
  std::string name;
  int limit = 0;
  size_t value = 0;
  if (verb == "init") {
    Answer(Cu("cuInit", 0U));
  } else if (verb == "retain") {
    Answer(Retain());
  } else if (verb == "unretain") {
    Answer(Cu("cuDevicePrimaryCtxRelease_v2", device_));
  } else if (verb == "reset") {
    Answer(Cu("cuDevicePrimaryCtxReset_v2", device_));
  } else if (verb == "ctx") {
    words >> name;
    Answer(Cu("cuCtxCreate_v2", &contexts_[name], 0U, device_));
  } else if (verb == "unctx") {
    words >> name;
    Answer(Cu("cuCtxDestroy_v2", contexts_.at(name)));
  } else if (verb == "alloc") {
    words >> name >> value;
    Answer(Cu("cuMemAlloc_v2", &pointers_[name], value));
  } else if (verb == "free") {
    words >> name;
    Answer(Cu("cuMemFree_v2", pointers_.at(name)));
  } else if (verb == "used") {
    size_t free = 0;
    const CUresult result = Cu("cuMemGetInfo_v2", &free, &value);
    if (result != CUDA_SUCCESS) {
      Answer(result);
    } else {
      std::cout << value - free << std::endl;
    }
  } else if (verb == "limit") {
    words >> limit >> value;
    Answer(Cu("cuCtxSetLimit", limit, value));
  } else if (verb == "limitof") {
    words >> limit;
    const CUresult result = Cu("cuCtxGetLimit", &value, limit);
    if (result != CUDA_SUCCESS) {
      Answer(result);
    } else {
      std::cout << value << std::endl;
    }
  } else {
    return false;
  }
  return true;
}

bool Special::DoGreen(const std::string& verb, std::istringstream& words) {
  std::string name;
  unsigned count = 0;
  if (verb == "green") {
    words >> name >> count;
    Answer(MakeGreen(&greens_[name], count));
  } else if (verb == "ungreen") {
    words >> name;
    Answer(Cu("cuGreenCtxDestroy", greens_.at(name)));
  } else if (verb == "enter") {
    words >> name;
    Answer(Enter(greens_.at(name)));
  } else if (verb == "leave") {
    Answer(Cu("cuCtxSetCurrent", primary_));
  } else {
    return false;
  }
  return true;
}

CUresult Special::Create(const std::string& name, size_t bytes) {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_};
  memories_[name].bytes = bytes;
  return Cu("cuMemCreate", &memories_[name].handle, bytes, &props, 0ULL);
}

CUresult Special::Map(const std::string& name, const std::string& handle) {
  const Memory& memory = memories_.at(handle);
  CUdeviceptr& at = mapped_at_[name];
  mapped_bytes_[name] = memory.bytes;
  const CUresult result =
      Cu("cuMemAddressReserve", &at, memory.bytes, size_t{0}, CUdeviceptr{0}, 0ULL);
  if (result != CUDA_SUCCESS) return result;
  return Cu("cuMemMap", at, memory.bytes, size_t{0}, memory.handle, 0ULL);
}

CUresult Special::Unmap(const std::string& name) {
  const CUresult result = Cu("cuMemUnmap", mapped_at_.at(name), mapped_bytes_.at(name));
  if (result != CUDA_SUCCESS) return result;
  return Cu("cuMemAddressFree", mapped_at_.at(name), mapped_bytes_.at(name));
}

CUresult Special::MakeMulticast(const std::string& name, size_t bytes) {
  CUmulticastObjectProp props = {};
  props.numDevices = 1;
  props.size = bytes;
  memories_[name].bytes = bytes;
  const CUresult result = Cu("cuMulticastCreate", &memories_[name].handle, &props);
  if (result != CUDA_SUCCESS) return result;
  return Cu("cuMulticastAddDevice", memories_[name].handle, device_);
}

bool Special::DoPhysical(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string other;
  size_t bytes = 0;
  if (verb == "create") {
    words >> name >> bytes;
    Answer(Create(name, bytes));
  } else if (verb == "release") {
    words >> name;
    Answer(Cu("cuMemRelease", memories_.at(name).handle));
  } else if (verb == "map") {
    words >> name >> other;
    Answer(Map(name, other));
  } else if (verb == "unmap") {
    words >> name;
    Answer(Unmap(name));
  } else {
    return false;
  }
  return true;
}

bool Special::DoMulticast(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string other;
  size_t offset = 0;
  size_t bytes = 0;
  if (verb == "multicast") {
    words >> name >> bytes;
    Answer(MakeMulticast(name, bytes));
  } else if (verb == "bind") {
    words >> name >> offset >> other;
    const Memory& memory = memories_.at(other);
    Answer(Cu("cuMulticastBindMem", memories_.at(name).handle, offset, memory.handle, size_t{0},
              memory.bytes, 0ULL));
  } else if (verb == "bind2") {
    words >> name >> offset >> other;
    const Memory& memory = memories_.at(other);
    Answer(Cu("cuMulticastBindMem_v2", memories_.at(name).handle, device_, offset, memory.handle,
              size_t{0}, memory.bytes, 0ULL));
  } else if (verb == "bindat2") {
    words >> name >> offset >> other;
    Answer(Cu("cuMulticastBindAddr_v2", memories_.at(name).handle, device_, offset,
              mapped_at_.at(other), mapped_bytes_.at(other), 0ULL));
  } else if (verb == "bindat") {
    words >> name >> offset >> other;
    Answer(Cu("cuMulticastBindAddr", memories_.at(name).handle, offset, mapped_at_.at(other),
              mapped_bytes_.at(other), 0ULL));
  } else if (verb == "unbind") {
    words >> name >> offset >> bytes;
    Answer(Cu("cuMulticastUnbind", memories_.at(name).handle, device_, offset, bytes));
  } else {
    return false;
  }
  return true;
}

CUresult Special::MakeEndpoint(CUlogicalEndpointId id, size_t bytes) {
  CUlogicalEndpointId first = 0;
  int complete = 0;
  CUlogicalEndpointProp props = {};
  props.type = CU_LOGICAL_ENDPOINT_TYPE_UNICAST;
  props.unicast.device = device_;
  props.size = bytes;
  // Numbers are given out from 1; the test names the next one.
  CUresult result = Cu("cuLogicalEndpointIdReserve", &first, cuuint32_t{1});
  if (result != CUDA_SUCCESS) return result;
  if (first != id) return CUDA_ERROR_UNKNOWN;
  result = Cu("cuLogicalEndpointCreate", id, static_cast<const CUlogicalEndpointProp*>(&props));
  return result != CUDA_SUCCESS ? result
                                : Cu("cuLogicalEndpointQuery", id, cuuint32_t{1}, &complete);
}

bool Special::DoEndpoints(const std::string& verb, std::istringstream& words) {
  CUlogicalEndpointId id = 0;
  cuuint64_t offset = 0;
  cuuint64_t bytes = 0;
  std::string other;
  words >> id;
  if (verb == "endpoint") {
    words >> bytes;
    Answer(MakeEndpoint(id, bytes));
  } else if (verb == "unendpoint") {
    Answer(Cu("cuLogicalEndpointDestroy", id));
  } else if (verb == "endbind") {
    words >> offset >> other;
    const Memory& memory = memories_.at(other);
    Answer(Cu("cuLogicalEndpointBindMem", id, device_, offset, memory.handle, cuuint64_t{0},
              cuuint64_t{memory.bytes}, 0ULL));
  } else if (verb == "endbindat") {
    words >> offset >> other;
    Answer(Cu("cuLogicalEndpointBindAddr", id, device_, offset,
              reinterpret_cast<void*>(mapped_at_.at(other)), cuuint64_t{mapped_bytes_.at(other)},
              0ULL));
  } else if (verb == "endunbind") {
    words >> offset >> bytes;
    Answer(Cu("cuLogicalEndpointUnbind", id, device_, offset, bytes));
  } else {
    return false;
  }
  return true;
}

// A file in memory takes the place of what another interface would have exported.
CUresult Special::Import(CUexternalMemory* external, size_t bytes) {
  const int fd = memfd_create("special", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) return CUDA_ERROR_OPERATING_SYSTEM;
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = {};
  desc.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
  desc.handle.fd = fd;
  desc.size = bytes;
  const CUresult result =
      Cu("cuImportExternalMemory", external, static_cast<const decltype(desc)*>(&desc));
  if (result != CUDA_SUCCESS) close(fd);  // else it is the driver's
  return result;
}

CUresult Special::MapBuffer(CUdeviceptr* pointer, CUexternalMemory external, size_t offset,
                            size_t bytes) {
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = {};
  desc.offset = offset;
  desc.size = bytes;
  return Cu("cuExternalMemoryGetMappedBuffer", pointer, external,
            static_cast<const decltype(desc)*>(&desc));
}

CUresult Special::Checkpoint(const std::string& step) {
  void* const none = nullptr;
  if (step == "lock") return Cu("cuCheckpointProcessLock", getpid(), none);
  if (step == "save") return Cu("cuCheckpointProcessCheckpoint", getpid(), none);
  if (step == "restore") return Cu("cuCheckpointProcessRestore", getpid(), none);
  if (step == "unlock") return Cu("cuCheckpointProcessUnlock", getpid(), none);
  // The beginning of CUcheckpointRestoreArgs: pairs of GPUs and their number.
  CUuuid pair[2] = {{"one"}, {"other"}};
  struct {
    CUuuid* pairs;
    unsigned count;
    char reserved[52];
  } args = {pair, 1, {}};
  return Cu("cuCheckpointProcessRestore", getpid(), static_cast<void*>(&args));
}

bool Special::DoExternal(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string other;
  size_t offset = 0;
  size_t bytes = 0;
  if (verb == "import") {
    words >> name >> bytes;
    Answer(Import(&externals_[name], bytes));
  } else if (verb == "buffer") {
    words >> name >> other >> offset >> bytes;
    Answer(MapBuffer(&pointers_[name], externals_.at(other), offset, bytes));
  } else if (verb == "levels") {
    CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC desc = {};
    words >> name >> other >> desc.arrayDesc.Width >> desc.arrayDesc.Height >> desc.numLevels;
    desc.arrayDesc.Format = CU_AD_FORMAT_FLOAT;
    desc.arrayDesc.NumChannels = 1;
    Answer(Cu("cuExternalMemoryGetMappedMipmappedArray", &levels_[name], externals_.at(other),
              static_cast<const decltype(desc)*>(&desc)));
  } else if (verb == "unlevels") {
    words >> name;
    Answer(Cu("cuMipmappedArrayDestroy", levels_.at(name)));
  } else if (verb == "checkpoint") {
    words >> name;
    Answer(Checkpoint(name));
  } else if (verb == "unimport") {
    words >> name;
    Answer(Cu("cuDestroyExternalMemory", externals_.at(name)));
  } else {
    return false;
  }
  return true;
}

bool Special::Do(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  return DoContexts(verb, words) || DoGreen(verb, words) || DoPhysical(verb, words) ||
         DoMulticast(verb, words) || DoExternal(verb, words) || DoSparse(verb, words) ||
         DoGraphics(verb, words) || DoEndpoints(verb, words);
}

}  // namespace

void* Look(const char* name) {
  void* found = dlsym(driver_handle, name);
  if (found == nullptr) {
    std::cerr << "special: no " << name << std::endl;
    std::exit(1);
  }
  return found;
}

void Answer(CUresult result) {
  if (result == CUDA_SUCCESS) {
    std::cout << "ok" << std::endl;
  } else {
    std::cout << "error " << static_cast<int>(result) << std::endl;
  }
}

int main() {
  driver_handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver_handle == nullptr) {
    std::cerr << "special: " << dlerror() << std::endl;
    return 1;
  }
  Special special;
  for (std::string line; std::getline(std::cin, line);) {
    if (special.Do(line)) continue;
    std::cerr << "special: what is '" << line << "'?" << std::endl;
    return 2;
  }
  return 0;
}
