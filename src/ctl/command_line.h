// SPDX-License-Identifier: Apache-2.0
//
// What CMD is started with: which file, and which environment.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace hami::ctl {

// The environment as a map; later entries of one name win.
std::map<std::string, std::string> ReadEnvironment(char** environment);
std::vector<std::string> FlattenEnvironment(const std::map<std::string, std::string>& variables);

// Puts `value` before what the list `name` (separated by colons) holds.
void PrependToList(std::map<std::string, std::string>* variables, const std::string& name,
                   const std::string& value);

// The program that a shell would run for `name`. kNotFound, or kPermissionDenied if it is there and
// cannot be executed.
Result<std::string> FindProgram(const std::string& name, const std::string& path_list);

}  // namespace hami::ctl
