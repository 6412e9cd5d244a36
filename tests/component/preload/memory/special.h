// SPDX-License-Identifier: Apache-2.0
//
// What the files of the special program share. Each group of verbs in a file of its own is a
// function that says whether it knows the verb, and answers if so.

#pragma once

#include <sstream>
#include <string>

#include "api/cuda/types.h"

// A function of the loaded driver; ends the program if there is none.
void* Look(const char* name);

// Calls a function of the driver by its exported name. The arguments must have the exact types.
template <typename... Arguments>
CUresult Cu(const char* name, Arguments... arguments) {
  return reinterpret_cast<CUresult (*)(Arguments...)>(Look(name))(arguments...);
}

// The line of answer to a call.
void Answer(CUresult result);

bool DoGraphics(const std::string& verb, std::istringstream& words);
bool DoSparse(const std::string& verb, std::istringstream& words);
