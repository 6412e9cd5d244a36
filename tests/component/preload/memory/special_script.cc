// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/memory/special_script.h"

#include <signal.h>

namespace hami::component {

SpecialScript::SpecialScript(const std::string& memory, const std::string& profile,
                             uint64_t context_bytes)
    : context_bytes_(context_bytes),
      tenant_(memory, profile, context_bytes),
      running_(tenant_.share.Start({.program = TestProgram("special")})) {
  signal(SIGPIPE, SIG_IGN);
  Answer("init");
}

std::string SpecialScript::Wrong(const std::string& line, const std::string& answer,
                                 uint64_t bytes) {
  const std::string said = Answer(line);
  std::string wrong;
  if (said != answer) wrong += "answers '" + said + "', not '" + answer + "'; ";
  const auto compare = [&](const char* what, uint64_t got) {
    if (got != bytes) {
      wrong += std::string(what) + " " + std::to_string(got) + ", not " + std::to_string(bytes) +
               " bytes; ";
    }
  };
  compare("given", tenant_.Truth());
  compare("charged", tenant_.Charged());
  compare("reserved", TotalBytes(tenant_.share));
  return wrong.empty() ? "" : line + ": " + wrong;
}

}  // namespace hami::component
