// SPDX-License-Identifier: Apache-2.0
//
// What the files of the script program share. Each group of verbs is a function that says whether
// it knows the verb, and answers if so.

#pragma once

#include <sstream>
#include <string>

#include "api/cuda/functions.h"

// A function of the loaded driver; ends the program if there is none.
void* Look(const char* name);
#define DRIVER(name) (reinterpret_cast<decltype(&::name)>(Look(#name)))

// The line of answer to a call.
void Answer(CUresult result);

bool DoArrays(const std::string& verb, std::istringstream& words);
bool DoGraphs(const std::string& verb, std::istringstream& words);
