// SPDX-License-Identifier: Apache-2.0

#include "ctl/driver_choice.h"

#include <fmt/format.h>

#include <string_view>

#include "ctl/notice.h"
#include "simctl/builtin_profiles.h"
#include "simctl/store.h"

namespace hami::ctl {
namespace {

constexpr char kDefaultSimulation[] = "default";
constexpr char kDefaultProfile[] = "a10-550";

std::string AdviceWithoutDriver(const std::vector<std::string>& arguments) {
  return fmt::format(
      "To try the same on a simulated GPU:\n"
      "  hami run --sim {}\n"
      "To make simulated GPUs that every program of this shell uses:\n"
      "  hami sim create\n"
      "  eval \"$(hami sim env)\"",
      QuoteForShell(arguments));
}

Result<simctl::Simulation> FindOrMakeSimulation(const std::string& name) {
  ASSIGN_OR_RETURN(const simctl::Store store, simctl::Store::Open());
  if (!name.empty()) return store.Find(name);
  std::vector<std::string> broken;
  ASSIGN_OR_RETURN(std::vector<simctl::Simulation> all, store.List(&broken));
  if (all.size() == 1) return std::move(all[0]);
  if (!all.empty()) {
    std::string names;
    for (const simctl::Simulation& simulation : all) {
      if (simulation.name == kDefaultSimulation) return simulation;
      names += (names.empty() ? "" : ", ") + simulation.name;
    }
    return Fail(Code::kInvalidArgument,
                fmt::format("there are several simulations; say which: --sim=NAME ({})", names));
  }
  ASSIGN_OR_RETURN(const simgpu::Profile profile, simctl::LoadBuiltinProfile(kDefaultProfile));
  Result<simctl::Simulation> made = store.Create(kDefaultSimulation, profile);
  // Another run may have made it at the same moment.
  if (!made && made.error().code == Code::kAlreadyExists) return store.Find(kDefaultSimulation);
  if (made) Notice(fmt::format("made simulation {} of profile {}", made->name, kDefaultProfile));
  return made;
}

}  // namespace

std::string QuoteForShell(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

Result<DriverChoice> ChooseDriver(const SimulationWish& wish,
                                  const std::vector<std::string>& arguments) {
  DriverChoice choice;
  if (wish.wanted) {
    ASSIGN_OR_RETURN(const simctl::Simulation simulation, FindOrMakeSimulation(wish.name));
    choice.simulation = simulation.folder;
    choice.location.library_folder = simulation.folder + "/lib";
  }
  Result<std::unique_ptr<gpu::Nvml>> nvml = gpu::Nvml::Load(choice.location);
  Result<gpu::Inventory> inventory = nvml ? gpu::ReadInventory(**nvml) : Fail(nvml.error());
  if (!inventory) {
    Error error = inventory.error();
    if (error.code == Code::kUnavailable && !wish.wanted) {
      error.message += "\n" + AdviceWithoutDriver(arguments);
    }
    return Fail(std::move(error));
  }
  choice.nvml = std::move(*nvml);
  choice.inventory = std::move(*inventory);
  choice.simulation_says = choice.inventory.simulation;
  if (choice.simulation.empty() && !choice.simulation_says.empty()) {
    // A shell with `hami sim env`: what the environment leads to must also be found without it.
    choice.location.library_folder = choice.inventory.library_folder;
    const std::string& folder = choice.inventory.library_folder;
    choice.simulation = folder.substr(0, folder.rfind('/'));
  }
  return choice;
}

}  // namespace hami::ctl
