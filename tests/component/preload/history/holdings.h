// SPDX-License-Identifier: Apache-2.0
//
// What one script process holds, as far as a history must know it: which names its next call may
// use, and by how much the product rightly charges it more than the driver has given. There are two
// such differences and no others:
//   managed memory   is charged in whole when it is made; the driver gives device memory for it
//   only
//                    where it lies on the device, and nothing here moves it there
//   orphaned blocks  a pool that is destroyed with memory in use lives on where nobody can ask for
//                    it; what the driver frees of it later stays charged until the process ends

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/component/preload/history/random.h"

namespace hami::component {

// One line for the script, and what it names.
struct Call {
  std::string verb;
  std::string name;
  std::string other;
  uint64_t bytes = 0;
  uint64_t height = 0;

  std::string Line() const;
};

class Holdings {
 public:
  // A call that a script which holds this can be asked for; it need not succeed.
  Call ChooseCall(Random& random, uint64_t limit_bytes);
  // The call was made and succeeded; `address` of what it allocated, 0 for other calls.
  void Learn(const Call& call, uint64_t address);

  static bool Allocates(const Call& call);
  uint64_t managed_bytes() const;
  // At most so much of destroyed pools may be charged although the driver has it back.
  uint64_t orphaned_bytes() const { return orphaned_bytes_; }
  bool has_context() const;

 private:
  struct Block {
    uint64_t bytes;
    bool managed;
    bool pooled;
    std::string pool;  // "": the device's own
    std::string context;
  };

  Call Fresh(const std::string& verb);
  Call ChooseMemory(Random& random, uint64_t limit_bytes);
  Call ChoosePools(Random& random, uint64_t limit_bytes);
  Call ChooseVmm(Random& random, uint64_t limit_bytes);
  Call ChooseArrays(Random& random);
  Call ChooseGraphs(Random& random, uint64_t limit_bytes);
  Call ChooseContext(Random& random);
  void LearnBlock(const Call& call, uint64_t address);
  void LearnContext(const Call& call);
  void LearnPool(const Call& call);
  void LoseContext(const std::string& context);

  int made_ = 0;
  std::map<uint64_t, Block> blocks_;           // living, by address
  std::map<std::string, uint64_t> addresses_;  // of every pointer name so far
  std::map<std::string, uint64_t> pools_;      // living -> segments that it may have made
  std::vector<std::string> handles_;           // ever made, mappable
  std::vector<std::string> all_handles_;       // these and the retained ones
  std::vector<std::string> mappings_;          // ever made
  std::vector<std::string> arrays_;            // ever made, as everything down to execs_
  std::vector<std::string> mipmaps_;
  std::vector<std::string> graphs_;
  std::vector<std::string> execs_;
  std::map<std::string, std::vector<std::string>> memory_of_;  // graphs and executable ones
  std::vector<std::string> launched_memory_;                   // by a launch, ever
  std::map<std::string, bool> contexts_;  // name -> lives; "" is the primary one
  std::vector<std::string> current_;      // the thread's stack of contexts
  uint64_t primary_references_ = 0;
  uint64_t orphaned_bytes_ = 0;
};

}  // namespace hami::component
