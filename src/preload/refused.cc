// SPDX-License-Identifier: Apache-2.0
//
// What changes a device for everybody who uses it (refused.def) is no tenant's to call, root or
// not. The answer is the driver's own to an ordinary user. Called from any thread; arguments are
// not read.

#include "preload/driver.h"
#include "preload/log.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

// True: the call is not for the driver, and `*answer` is what the caller is told.
bool Refuse(const char* symbol, nvmlReturn_t* answer) {
  *answer = NVML_ERROR_UNINITIALIZED;
  if (!BindNvml()) return true;
  if (EnterNvml() == Mode::kPass) return false;
  Log(LogLevel::kWarning, "refused %s: it changes the device for all its tenants", symbol);
  *answer = NVML_ERROR_NO_PERMISSION;
  return true;
}

}  // namespace
}  // namespace hami::preload

extern "C" {

// Every register that may hold an argument is passed on, whatever is in it.
#define HAMI_REFUSED(symbol)                                                                  \
  HAMI_EXPORT nvmlReturn_t symbol(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, \
                                  uint64_t f) {                                               \
    nvmlReturn_t answer = NVML_SUCCESS;                                                       \
    if (hami::preload::Refuse(#symbol, &answer)) return answer;                               \
    return hami::preload::nvml.symbol(a, b, c, d, e, f);                                      \
  }
#include "preload/refused.def"

}  // extern "C"
