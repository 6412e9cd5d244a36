// SPDX-License-Identifier: Apache-2.0
//
// A C++ program, with its own runtime inside, that uses the driver before main() begins and from a
// thread of its own, and catches exceptions across that.

#include <dlfcn.h>

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

class Driver {
 public:
  Driver() : handle_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL)) {
    if (handle_ == nullptr) return;
    result_ = Find<int(unsigned)>("cuInit")(0);
    void* context = nullptr;
    if (result_ == 0) result_ = Find<int(void**, int)>("cuDevicePrimaryCtxRetain")(&context, 0);
    if (result_ == 0) result_ = Find<int(void*)>("cuCtxSetCurrent")(context);
    context_ = context;
  }

  void Allocate(const std::string& bytes) const {
    if (result_ != 0) throw std::runtime_error("no driver: " + std::to_string(result_));
    Find<int(void*)>("cuCtxSetCurrent")(context_);
    unsigned long long pointer = 0;
    const int result =
        Find<int(unsigned long long*, size_t)>("cuMemAlloc_v2")(&pointer, std::stoull(bytes));
    std::cout << "alloc " << bytes << ' ' << result << std::endl;
    if (result != 0) throw std::runtime_error("refused");
  }

 private:
  template <typename Function>
  Function* Find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle_, name));
  }

  void* handle_;
  void* context_ = nullptr;
  int result_ = -1;
};

const Driver driver;

}  // namespace

int main(int argc, char** argv) {
  std::thread([&] {
    for (int i = 1; i < argc; ++i) {
      try {
        driver.Allocate(argv[i]);
      } catch (const std::exception& error) {
        std::cout << "caught " << error.what() << std::endl;
      }
    }
  }).join();
  return 0;
}
