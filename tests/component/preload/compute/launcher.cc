// SPDX-License-Identifier: Apache-2.0
//
// A program that launches in every way there is, as its standard input says: one line per action,
// "ok" when the GPU has done it, or "error N" with what failed.
//
//   FORM COUNT       COUNT kernels of one millisecond; FORM is kernel, ex, coop, dependent, each
//                    also with _ptsz, or grid
//   graph COUNT      a captured graph of five of them, COUNT times; graph_ptsz
//   update COUNT     the same graph updated to kernels of three milliseconds
//   record FORM N    makes that graph anew, from a capture of N launches of FORM, a form of above
//   or
//                    "child", a graph of five; with _ptsz the thread's own default stream is
//                    captured. The capture must have N nodes; nothing is launched
//   upload COUNT     uploads the graph COUNT times, which runs nothing
//   capture MODE N   N launches into a capture (0 global, 1 thread, 2 relaxed), a hundred more on
//                    another stream between them; the capture must end well, with N nodes
//   foreign COUNT    the graph on a stream of the second device, the first one's context current
//   hosted COUNT     COUNT kernels, and after each a function of the program that takes 4 ms
//   hostgraph COUNT  a graph of a kernel and such a function, COUNT times
//   devices COUNT    one kernel on each of two devices by one call, COUNT times
//   word             a stream waits for a word of 32 bits, and one of 64, that another one writes
//   ring COUNT       two devices whose streams wait for words that the other one writes, in turn
//   steady           kernels until another line comes

#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "api/cuda/functions.h"

namespace {

constexpr char kPtx[] =
    ".version 6.0\n.target sm_50\n.address_size 64\n"
    ".visible .entry work_us_1000()\n{\n ret;\n}\n"
    ".visible .entry work_us_3000()\n{\n ret;\n}\n";

void* driver = nullptr;

template <typename Function>
Function* Get(const char* name) {
  void* found = dlsym(driver, name);
  if (found == nullptr) {
    std::cout << "no " << name << std::endl;
    std::exit(1);
  }
  return reinterpret_cast<Function*>(found);
}
#define DRIVER(name) Get<decltype(::name)>(#name)

struct Failed {
  CUresult result;
  const char* what;
};
void Must(CUresult result, const char* what) {
  if (result != CUDA_SUCCESS) throw Failed{result, what};
}

using Value32 = CUresult(CUstream, CUdeviceptr, uint32_t, unsigned);
using StreamCreate = CUresult(CUstream*, unsigned);
using Instantiate = CUresult(CUgraphExec*, CUgraph, unsigned long long);
using GetNodes = CUresult(CUgraph, CUgraphNode*, size_t*);
using Upload = CUresult(CUgraphExec, CUstream);
using NoArguments = CUresult();
using SetCurrent = CUresult(CUcontext);
using GetFunction = CUresult(CUfunction*, CUmodule, const char*);

struct Gpu {
  CUcontext context = nullptr;
  CUfunction one_ms = nullptr;
  CUfunction three_ms = nullptr;
  CUstream stream = nullptr;
};

void Use(const Gpu& gpu) { Must(Get<SetCurrent>("cuCtxSetCurrent")(gpu.context), "set current"); }

Gpu OpenGpu(int ordinal) {
  Gpu gpu;
  Must(DRIVER(cuDevicePrimaryCtxRetain)(&gpu.context, ordinal), "retain");
  Use(gpu);
  CUmodule module = nullptr;
  Must(DRIVER(cuModuleLoadData)(&module, kPtx), "module");
  Must(Get<GetFunction>("cuModuleGetFunction")(&gpu.one_ms, module, "work_us_1000"), "function");
  Must(Get<GetFunction>("cuModuleGetFunction")(&gpu.three_ms, module, "work_us_3000"), "function");
  constexpr unsigned kNonBlocking = 1;
  Must(Get<StreamCreate>("cuStreamCreate")(&gpu.stream, kNonBlocking), "stream");
  return gpu;
}

void Synchronise(CUstream stream) {
  Must(Get<CUresult(CUstream)>("cuStreamSynchronize")(stream), "synchronise");
}

void Synchronise() { Must(Get<NoArguments>("cuCtxSynchronize")(), "synchronise"); }

void LaunchPlain(CUfunction function, CUstream stream) {
  Must(DRIVER(cuLaunchKernel)(function, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr), "launch");
}

CUresult LaunchEx(CUfunction function, bool dependent, bool per_thread, CUstream stream) {
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  attribute.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config = {};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = 32;
  config.blockDimY = config.blockDimZ = 1;
  config.hStream = stream;
  config.attrs = dependent ? &attribute : nullptr;
  config.numAttrs = dependent ? 1 : 0;
  return per_thread ? DRIVER(cuLaunchKernelEx_ptsz)(&config, function, nullptr, nullptr)
                    : DRIVER(cuLaunchKernelEx)(&config, function, nullptr, nullptr);
}

bool IsPerThread(const std::string& form) { return form.ends_with("_ptsz"); }

CUresult LaunchAs(const std::string& form, const Gpu& gpu, CUstream stream) {
  const bool per_thread = IsPerThread(form);
  const std::string name = form.substr(0, form.find("_ptsz"));
  CUfunction f = gpu.one_ms;
  if (name == "kernel") {
    return per_thread
               ? DRIVER(cuLaunchKernel_ptsz)(f, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr)
               : DRIVER(cuLaunchKernel)(f, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr);
  }
  if (name == "grid") {
    Must(Get<CUresult(CUfunction, int, int, int)>("cuFuncSetBlockShape")(f, 32, 1, 1), "shape");
    return stream == nullptr ? DRIVER(cuLaunchGrid)(f, 1, 1)
                             : DRIVER(cuLaunchGridAsync)(f, 1, 1, stream);
  }
  if (name == "coop") {
    return per_thread
               ? DRIVER(cuLaunchCooperativeKernel_ptsz)(f, 1, 1, 1, 32, 1, 1, 0, stream, nullptr)
               : DRIVER(cuLaunchCooperativeKernel)(f, 1, 1, 1, 32, 1, 1, 0, stream, nullptr);
  }
  return LaunchEx(f, name == "dependent", per_thread, stream);
}

// As long as its lines come one at a time.
bool HasInput() {
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return poll(&input, 1, 0) > 0;
}

void CallFunction(CUstream stream) {
  using LaunchHost = CUresult(CUstream, void (*)(void*), void*);
  void (*function)(void*) = [](void*) { usleep(4000); };
  Must(Get<LaunchHost>("cuLaunchHostFunc")(stream, function, nullptr), "host function");
}

CUgraph CaptureGraph(const Gpu& gpu, CUfunction function, int launches, CUstreamCaptureMode mode,
                     const std::vector<CUstream>& others) {
  Must(DRIVER(cuStreamBeginCapture_v2)(gpu.stream, mode), "begin capture");
  for (int i = 0; i < launches; ++i) {
    LaunchPlain(function, gpu.stream);
    for (CUstream other : others) LaunchPlain(function, other);
  }
  CUgraph graph = nullptr;
  Must(DRIVER(cuStreamEndCapture)(gpu.stream, &graph), "end capture");
  size_t nodes = 0;
  Must(Get<GetNodes>("cuGraphGetNodes")(graph, nullptr, &nodes), "nodes");
  if (nodes != static_cast<size_t>(launches)) throw Failed{CUDA_ERROR_UNKNOWN, "node count"};
  return graph;
}

CUgraph FiveKernels(const Gpu& gpu, CUfunction function) {
  return CaptureGraph(gpu, function, 5, CU_STREAM_CAPTURE_MODE_GLOBAL, {});
}

class Launcher {
 public:
  Launcher() {
    Must(DRIVER(cuInit)(0), "init");
    int count = 0;
    Must(DRIVER(cuDeviceGetCount)(&count), "count");
    for (int i = 0; i < count && i < 2; ++i) gpus_.push_back(OpenGpu(i));
    Use(gpus_[0]);
  }

  void Do(const std::string& action, std::istringstream& words) {
    int count = 0;
    if (action == "capture") {
      int mode = 0;
      words >> mode >> count;
      Capture(static_cast<CUstreamCaptureMode>(mode), count);
    } else if (action == "word") {
      Word();
    } else if (action == "steady") {
      while (!HasInput()) Must(LaunchAs("kernel", gpus_[0], nullptr), "launch");
    } else if (action == "record") {
      std::string form;
      words >> form >> count;
      Record(form, count);
    } else if (words >> count; action == "hosted") {
      for (int i = 0; i < count; ++i) {
        LaunchPlain(gpus_[0].one_ms, gpus_[0].stream);
        CallFunction(gpus_[0].stream);
      }
    } else if (action == "hostgraph") {
      HostGraph(count);
    } else if (action == "devices") {
      OnBothDevices(count);
    } else if (action == "ring") {
      Ring(count);
    } else if (action == "foreign") {
      Foreign(count);
    } else if (action == "upload") {
      for (int i = 0; i < count; ++i) {
        Must(Get<Upload>("cuGraphUpload")(exec_, gpus_[0].stream), "upload");
      }
    } else if (action == "graph" || action == "graph_ptsz" || action == "update") {
      Replay(action, count);
    } else {
      for (int i = 0; i < count; ++i) Must(LaunchAs(action, gpus_[0], nullptr), "launch");
    }
    for (const Gpu& gpu : gpus_) {
      Use(gpu);
      Synchronise();
    }
    Use(gpus_[0]);
  }

 private:
  CUgraphExec MakeExec(const Gpu& gpu) {
    CUgraphExec exec = nullptr;
    Must(Get<Instantiate>("cuGraphInstantiateWithFlags")(&exec, FiveKernels(gpu, gpu.one_ms), 0),
         "instantiate");
    return exec;
  }

  void Replay(const std::string& action, int count) {
    if (exec_ == nullptr) exec_ = MakeExec(gpus_[0]);
    if (action == "update") {
      using Update = CUresult(CUgraphExec, CUgraph, CUgraphNode*, int*);
      CUgraphNode node = nullptr;
      int verdict = 0;
      Must(Get<Update>("cuGraphExecUpdate")(exec_, FiveKernels(gpus_[0], gpus_[0].three_ms), &node,
                                            &verdict),
           "update");
    }
    for (int i = 0; i < count; ++i) {
      Must(action == "graph_ptsz" ? DRIVER(cuGraphLaunch_ptsz)(exec_, nullptr)
                                  : DRIVER(cuGraphLaunch)(exec_, gpus_[0].stream),
           "graph launch");
    }
  }

  void Record(const std::string& form, int launches) {
    const bool per_thread = IsPerThread(form);
    CUstream stream = per_thread ? nullptr : gpus_[0].stream;
    CUgraphExec child = nullptr;
    if (form.starts_with("child")) child = MakeExec(gpus_[0]);
    constexpr auto kMode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    Must(per_thread ? DRIVER(cuStreamBeginCapture_v2_ptsz)(stream, kMode)
                    : DRIVER(cuStreamBeginCapture_v2)(stream, kMode),
         "begin capture");
    for (int i = 0; i < launches; ++i) {
      if (child == nullptr) {
        Must(LaunchAs(form, gpus_[0], stream), "captured launch");
      } else {
        Must(per_thread ? DRIVER(cuGraphLaunch_ptsz)(child, stream)
                        : DRIVER(cuGraphLaunch)(child, stream),
             "captured graph launch");
      }
    }
    CUgraph graph = nullptr;
    Must(per_thread ? DRIVER(cuStreamEndCapture_ptsz)(stream, &graph)
                    : DRIVER(cuStreamEndCapture)(stream, &graph),
         "end capture");
    size_t nodes = 0;
    Must(Get<GetNodes>("cuGraphGetNodes")(graph, nullptr, &nodes), "nodes");
    if (nodes != static_cast<size_t>(launches)) throw Failed{CUDA_ERROR_UNKNOWN, "node count"};
    Must(Get<Instantiate>("cuGraphInstantiateWithFlags")(&exec_, graph, 0), "instantiate");
  }

  void HostGraph(int count) {
    CUgraph graph = nullptr;
    CUgraphExec exec = nullptr;
    Must(DRIVER(cuStreamBeginCapture_v2)(gpus_[0].stream, CU_STREAM_CAPTURE_MODE_GLOBAL), "begin");
    LaunchPlain(gpus_[0].one_ms, gpus_[0].stream);
    CallFunction(gpus_[0].stream);
    Must(DRIVER(cuStreamEndCapture)(gpus_[0].stream, &graph), "end capture");
    Must(Get<Instantiate>("cuGraphInstantiateWithFlags")(&exec, graph, 0), "instantiate");
    for (int i = 0; i < count; ++i) {
      Must(DRIVER(cuGraphLaunch)(exec, gpus_[0].stream), "graph launch");
    }
  }

  void OnBothDevices(int count) {
    CUDA_LAUNCH_PARAMS launches[2] = {};
    for (size_t i = 0; i < 2; ++i) {
      launches[i] = {gpus_[i].one_ms, 1, 1, 1, 32, 1, 1, 0, gpus_[i].stream, nullptr};
    }
    for (int i = 0; i < count; ++i) {
      Must(DRIVER(cuLaunchCooperativeKernelMultiDevice)(launches, 2, 0), "launch on both");
    }
  }

  // Whatever the library does on the way must not break the capture.
  void Capture(CUstreamCaptureMode mode, int count) {
    CUstream other = nullptr;
    Must(Get<StreamCreate>("cuStreamCreate")(&other, 1), "stream");
    CaptureGraph(gpus_[0], gpus_[0].one_ms, count, mode, {other});
  }

  void Foreign(int count) {
    Use(gpus_[1]);
    CUgraphExec exec = MakeExec(gpus_[1]);
    Use(gpus_[0]);
    for (int i = 0; i < count; ++i) {
      Must(DRIVER(cuGraphLaunch)(exec, gpus_[1].stream), "graph launch");
    }
  }

  void Word() {
    CUdeviceptr word = 0;
    Must(DRIVER(cuMemAlloc_v2)(&word, 4096), "alloc");
    CUstream other = nullptr;
    Must(Get<StreamCreate>("cuStreamCreate")(&other, 1), "stream");
    const auto expect = [&](CUresult expected, const char* what) {
      if (DRIVER(cuStreamQuery)(gpus_[0].stream) != expected) {
        throw Failed{CUDA_ERROR_UNKNOWN, what};
      }
    };
    using Value64 = CUresult(CUstream, CUdeviceptr, uint64_t, unsigned);
    constexpr unsigned kEqual = 1;
    Must(Get<Value32>("cuStreamWaitValue32_v2")(gpus_[0].stream, word, 7, kEqual), "wait");
    expect(CUDA_ERROR_NOT_READY, "waits for a word");
    Must(Get<Value32>("cuStreamWriteValue32_v2")(other, word, 6, 0), "write");
    Synchronise(other);
    expect(CUDA_ERROR_NOT_READY, "waits for the right word");
    Must(Get<Value32>("cuStreamWriteValue32_v2")(other, word, 7, 0), "write");
    Synchronise(other);
    Synchronise(gpus_[0].stream);
    Must(Get<Value64>("cuStreamWaitValue64_v2")(gpus_[0].stream, word + 8, 1, 0), "wait");
    expect(CUDA_ERROR_NOT_READY, "waits for a long word");
    LaunchPlain(gpus_[0].one_ms, other);
    Must(Get<Value64>("cuStreamWriteValue64_v2")(other, word + 8, 2, 0), "write");
    Synchronise(gpus_[0].stream);
    if (DRIVER(cuStreamQuery)(other) != CUDA_SUCCESS) {
      throw Failed{CUDA_ERROR_UNKNOWN, "waits for the kernel before the write"};
    }
  }

  // Each round the first device waits for a word that the second writes in this round, and the
  // second for one that the first writes: neither gets on unless this thread feeds both.
  void Ring(int rounds) {
    constexpr unsigned kGreaterOrEqual = 0;
    CUdeviceptr words[2] = {};
    for (size_t i = 0; i < 2; ++i) {
      Use(gpus_[i]);
      Must(DRIVER(cuMemAlloc_v2)(&words[i], 4096), "alloc");
    }
    auto* wait = Get<Value32>("cuStreamWaitValue32_v2");
    auto* write = Get<Value32>("cuStreamWriteValue32_v2");
    for (int round = 1; round <= rounds; ++round) {
      for (size_t i = 0; i < 2; ++i) {
        const auto value = static_cast<uint32_t>(round);
        Use(gpus_[i]);
        LaunchPlain(gpus_[i].one_ms, gpus_[i].stream);
        Must(write(gpus_[i].stream, words[1 - i], value, 0), "write value");
        Must(wait(gpus_[i].stream, words[i], value, kGreaterOrEqual), "wait value");
        LaunchPlain(gpus_[i].one_ms, gpus_[i].stream);
      }
    }
  }

  std::vector<Gpu> gpus_;
  CUgraphExec exec_ = nullptr;
};

}  // namespace

int main() {
  driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    std::cout << dlerror() << std::endl;
    return 1;
  }
  try {
    Launcher launcher;
    std::cout << "ready" << std::endl;
    std::string line;
    while (std::getline(std::cin, line)) {
      std::istringstream words(line);
      std::string action;
      words >> action;
      launcher.Do(action, words);
      std::cout << "ok" << std::endl;
    }
  } catch (const Failed& failed) {
    std::cout << "error " << failed.result << " " << failed.what << std::endl;
    return 1;
  }
  return 0;
}
