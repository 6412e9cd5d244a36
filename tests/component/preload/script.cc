// SPDX-License-Identifier: Apache-2.0
//
// A CUDA program that does what its standard input says: one driver call per line, one line of
// answer. Objects have names. Answers: "ok", "error N", or values.
//
//   init | device ORDINAL | ctx NAME | unctx NAME | retain | unretain | reset
//   alloc NAME BYTES | pitch NAME WIDTH HEIGHT | managed NAME BYTES | free NAME | freeraw ADDRESS
//   pool NAME [host|ORDINAL] | defaultpool NAME host|ORDINAL | unpool NAME | async NAME BYTES
//   [POOL] | unasync NAME | sync | trim BYTES | keep BYTES create NAME BYTES | map NAME HANDLE |
//   unmap NAME | release HANDLE | retainhandle NAME MAP array NAME WIDTH HEIGHT DEPTH | layers NAME
//   WIDTH HEIGHT DEPTH | oldarray NAME WIDTH HEIGHT | unarray NAME | mipmap NAME WIDTH HEIGHT
//   LEVELS | unmipmap NAME graph NAME | takes|takesany GRAPH NAME BYTES | gives GRAPH NAME |
//   capture GRAPH BYTES | ungraph GRAPH instantiate EXEC GRAPH [FLAGS] | launch EXEC | upload EXEC
//   | unexec EXEC | graphfree NAME | trimgraphs module NAME FILE | unmodule NAME info -> free total
//   | total -> bytes | address NAME -> value | version -> 10020 | has SYMBOL -> "driver" if dlsym
//   finds it in the driver, "program" if it does so in the whole program | fork -> pid   (the child
//   answers nothing and waits until the input of this process ends) children      (waits for them)

#include "tests/component/preload/script.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

void* driver_handle = nullptr;

}  // namespace

void* Look(const char* name) {
  void* found = dlsym(driver_handle, name);
  if (found == nullptr) {
    std::cerr << "script: no " << name << std::endl;
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

namespace {

using AddressReserve = CUresult(CUdeviceptr*, size_t, size_t, CUdeviceptr, unsigned long long);
using AddressFree = CUresult(CUdeviceptr, size_t);
using SetCurrent = CUresult(CUcontext);
using Synchronize = CUresult();

class Script {
 public:
  CUresult Init() {
    const CUresult result = DRIVER(cuInit)(0);
    return result != CUDA_SUCCESS ? result : DRIVER(cuDeviceGet)(&device_, ordinal_);
  }

  CUresult Retain() {
    CUcontext context = nullptr;
    const CUresult result = DRIVER(cuDevicePrimaryCtxRetain)(&context, device_);
    if (result != CUDA_SUCCESS) return result;
    return reinterpret_cast<SetCurrent*>(Look("cuCtxSetCurrent"))(context);
  }

  CUresult Pitch(CUdeviceptr* pointer, size_t width, size_t height) {
    size_t pitch = 0;
    return DRIVER(cuMemAllocPitch_v2)(pointer, &pitch, width, height, 4);
  }

  CUresult MakePool(CUmemoryPool* pool, const std::string& where) {
    CUmemPoolProps props = {};
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = {CU_MEM_LOCATION_TYPE_DEVICE, where.empty() ? device_ : std::atoi(&where[0])};
    if (where == "host") props.location = {CU_MEM_LOCATION_TYPE_HOST, 0};
    return DRIVER(cuMemPoolCreate)(pool, &props);
  }

  CUresult Trim(size_t bytes) {
    CUmemoryPool pool = nullptr;
    const CUresult result = DRIVER(cuDeviceGetDefaultMemPool)(&pool, device_);
    return result != CUDA_SUCCESS ? result : DRIVER(cuMemPoolTrimTo)(pool, bytes);
  }

  CUresult Keep(cuuint64_t bytes) {
    CUmemoryPool pool = nullptr;
    const CUresult result = DRIVER(cuDeviceGetDefaultMemPool)(&pool, device_);
    if (result != CUDA_SUCCESS) return result;
    return DRIVER(cuMemPoolSetAttribute)(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &bytes);
  }

  CUresult Create(CUmemGenericAllocationHandle* handle, size_t bytes) {
    CUmemAllocationProp props = {};
    props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_};
    return DRIVER(cuMemCreate)(handle, bytes, &props, 0);
  }

  CUresult Map(CUdeviceptr* pointer, const std::string& handle) {
    const size_t bytes = handle_bytes_.at(handle);
    CUresult result =
        reinterpret_cast<AddressReserve*>(Look("cuMemAddressReserve"))(pointer, bytes, 0, 0, 0);
    if (result != CUDA_SUCCESS) return result;
    return DRIVER(cuMemMap)(*pointer, bytes, 0, handles_.at(handle), 0);
  }

  CUresult Unmap(CUdeviceptr pointer, size_t bytes) {
    const CUresult result = DRIVER(cuMemUnmap)(pointer, bytes);
    if (result != CUDA_SUCCESS) return result;
    return reinterpret_cast<AddressFree*>(Look("cuMemAddressFree"))(pointer, bytes);
  }

  CUresult Load(CUmodule* module, const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    std::stringstream image;
    image << stream.rdbuf() << '\0';
    images_.push_back(image.str());
    return DRIVER(cuModuleLoadData)(module, images_.back().data());
  }

  void Fork() {
    std::cout << std::flush;
    const pid_t pid = fork();
    if (pid == 0) {
      char byte;
      while (read(STDIN_FILENO, &byte, 1) > 0) {
      }
      _exit(0);
    }
    std::cout << pid << std::endl;
  }

  // One line; false: not understood.
  bool Do(const std::string& line);

 private:
  bool DoMemory(const std::string& verb, std::istringstream& words);
  bool DoPools(const std::string& verb, std::istringstream& words);
  bool DoVmm(const std::string& verb, std::istringstream& words);
  bool DoOther(const std::string& verb, std::istringstream& words);

  int ordinal_ =
      std::getenv("SCRIPT_ORDINAL") != nullptr ? std::atoi(std::getenv("SCRIPT_ORDINAL")) : 0;
  CUdevice device_ = 0;
  std::map<std::string, CUcontext> contexts_;
  std::map<std::string, CUdeviceptr> pointers_;
  std::map<std::string, CUmemoryPool> pools_;
  std::map<std::string, CUmemGenericAllocationHandle> handles_;
  std::map<std::string, size_t> handle_bytes_;
  std::map<std::string, CUdeviceptr> mappings_;
  std::map<std::string, size_t> mapping_bytes_;
  std::map<std::string, CUmodule> modules_;
  std::vector<std::string> images_;
};

bool Script::DoMemory(const std::string& verb, std::istringstream& words) {
  std::string name;
  size_t bytes = 0;
  size_t height = 0;
  if (verb == "alloc") {
    words >> name >> bytes;
    Answer(DRIVER(cuMemAlloc_v2)(&pointers_[name], bytes));
  } else if (verb == "pitch") {
    words >> name >> bytes >> height;
    Answer(Pitch(&pointers_[name], bytes, height));
  } else if (verb == "managed") {
    words >> name >> bytes;
    Answer(DRIVER(cuMemAllocManaged)(&pointers_[name], bytes, 1));
  } else if (verb == "free") {
    words >> name;
    Answer(DRIVER(cuMemFree_v2)(pointers_.at(name)));
  } else if (verb == "freeraw") {
    words >> bytes;
    Answer(DRIVER(cuMemFree_v2)(bytes));
  } else if (verb == "address") {
    words >> name;
    std::cout << pointers_.at(name) << std::endl;
  } else {
    return false;
  }
  return true;
}

bool Script::DoPools(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string pool;
  size_t bytes = 0;
  if (verb == "pool") {
    words >> name >> pool;
    Answer(MakePool(&pools_[name], pool));
  } else if (verb == "defaultpool") {
    words >> name >> pool;
    CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, std::atoi(&pool[0])};
    if (pool == "host") location = {CU_MEM_LOCATION_TYPE_HOST, 0};
    Answer(DRIVER(cuMemGetDefaultMemPool)(&pools_[name], &location, CU_MEM_ALLOCATION_TYPE_PINNED));
  } else if (verb == "unpool") {
    words >> name;
    Answer(DRIVER(cuMemPoolDestroy)(pools_.at(name)));
  } else if (verb == "async") {
    words >> name >> bytes >> pool;
    Answer(pool.empty() ? DRIVER(cuMemAllocAsync)(&pointers_[name], bytes, nullptr)
                        : DRIVER(cuMemAllocFromPoolAsync)(&pointers_[name], bytes, pools_.at(pool),
                                                          nullptr));
  } else if (verb == "unasync") {
    words >> name;
    Answer(DRIVER(cuMemFreeAsync)(pointers_.at(name), nullptr));
  } else if (verb == "sync") {
    Answer(reinterpret_cast<Synchronize*>(Look("cuCtxSynchronize"))());
  } else if (verb == "trim") {
    words >> bytes;
    Answer(Trim(bytes));
  } else if (verb == "keep") {
    words >> bytes;
    Answer(Keep(bytes));
  } else {
    return false;
  }
  return true;
}

bool Script::DoVmm(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string other;
  size_t bytes = 0;
  if (verb == "create") {
    words >> name >> bytes;
    handle_bytes_[name] = bytes;
    Answer(Create(&handles_[name], bytes));
  } else if (verb == "map") {
    words >> name >> other;
    mapping_bytes_[name] = handle_bytes_.at(other);
    Answer(Map(&mappings_[name], other));
  } else if (verb == "unmap") {
    words >> name;
    Answer(Unmap(mappings_.at(name), mapping_bytes_.at(name)));
  } else if (verb == "release") {
    words >> name;
    Answer(DRIVER(cuMemRelease)(handles_.at(name)));
  } else if (verb == "retainhandle") {
    words >> name >> other;
    Answer(DRIVER(cuMemRetainAllocationHandle)(&handles_[name],
                                               reinterpret_cast<void*>(mappings_.at(other))));
  } else {
    return false;
  }
  return true;
}

bool Script::DoOther(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string file;
  if (verb == "init") {
    Answer(Init());
  } else if (verb == "device") {
    words >> ordinal_;
    Answer(DRIVER(cuDeviceGet)(&device_, ordinal_));
  } else if (verb == "retain") {
    Answer(Retain());
  } else if (verb == "unretain") {
    Answer(DRIVER(cuDevicePrimaryCtxRelease_v2)(device_));
  } else if (verb == "reset") {
    Answer(DRIVER(cuDevicePrimaryCtxReset_v2)(device_));
  } else if (verb == "ctx") {
    words >> name;
    Answer(DRIVER(cuCtxCreate_v2)(&contexts_[name], 0, device_));
  } else if (verb == "unctx") {
    words >> name;
    Answer(DRIVER(cuCtxDestroy_v2)(contexts_.at(name)));
  } else if (verb == "module") {
    words >> name >> file;
    Answer(Load(&modules_[name], file));
  } else if (verb == "unmodule") {
    words >> name;
    Answer(DRIVER(cuModuleUnload)(modules_.at(name)));
  } else if (verb == "info") {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    const CUresult result = DRIVER(cuMemGetInfo_v2)(&free_bytes, &total_bytes);
    if (result != CUDA_SUCCESS) {
      Answer(result);
    } else {
      std::cout << free_bytes << ' ' << total_bytes << std::endl;
    }
  } else if (verb == "total") {
    size_t bytes = 0;
    const CUresult result = DRIVER(cuDeviceTotalMem_v2)(&bytes, device_);
    if (result != CUDA_SUCCESS) {
      Answer(result);
    } else {
      std::cout << bytes << std::endl;
    }
  } else if (verb == "has") {
    words >> name;
    std::cout << (dlsym(driver_handle, name.c_str()) != nullptr ? "driver " : "")
              << (dlsym(RTLD_DEFAULT, name.c_str()) != nullptr ? "program" : "") << std::endl;
  } else if (verb == "version") {
    int version = 0;
    const CUresult result = DRIVER(cuDriverGetVersion)(&version);
    std::cout << (result == CUDA_SUCCESS ? version : -1) << std::endl;
  } else if (verb == "fork") {
    Fork();
  } else if (verb == "children") {
    while (wait(nullptr) > 0) {
    }
    std::cout << "ok" << std::endl;
  } else {
    return false;
  }
  return true;
}

bool Script::Do(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  return DoMemory(verb, words) || DoPools(verb, words) || DoVmm(verb, words) ||
         DoArrays(verb, words) || DoGraphs(verb, words) || DoSharing(verb, words) ||
         DoOther(verb, words);
}

}  // namespace

int main() {
  driver_handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver_handle == nullptr) {
    std::cerr << "script: " << dlerror() << std::endl;
    return 1;
  }
  Script script;
  std::string line;
  // Character by character, so that a forked child finds its input where this process left it.
  while (true) {
    char byte;
    const ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got <= 0) return 0;
    if (byte != '\n') {
      line += byte;
      continue;
    }
    if (!script.Do(line)) {
      std::cerr << "script: what is '" << line << "'?" << std::endl;
      return 2;
    }
    line.clear();
  }
}
