// SPDX-License-Identifier: Apache-2.0

#include "simctl/sim.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "base/json_writer.h"
#include "simctl/arguments.h"
#include "simctl/builtin_profiles.h"
#include "simctl/machine_state.h"
#include "simctl/store.h"

namespace hami::simctl {
namespace {

using base::JsonWriter;
using simgpu::ExpandedDevice;

constexpr char kDefaultName[] = "default";
constexpr char kDefaultProfile[] = "a10-550";
constexpr uint64_t kMib = uint64_t{1} << 20;

std::string NameOf(const Arguments& arguments) { return arguments.name.value_or(kDefaultName); }

std::string CudaText(uint64_t version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string CountText(const Simulation& simulation) {
  const size_t count = simulation.devices.size();
  return fmt::format("{} simulated GPU{}", count, count == 1 ? "" : "s");
}

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Print(JsonWriter&& json) { Print(std::move(json).Take() + "\n"); }

// The members that every command's JSON of a simulation has.
void WriteSimulation(const Simulation& simulation, const std::vector<MachineDevice>* use,
                     JsonWriter* json) {
  json->BeginObject();
  json->Member("name", simulation.name)
      .Member("simulated", true)
      .Member("profile", simulation.profile.name)
      .Member("folder", simulation.folder)
      .Member("driver_version", simulation.profile.driver_version)
      .Member("cuda_version", CudaText(simulation.profile.cuda_version));
  json->Key("gpus").BeginArray();
  for (const ExpandedDevice& device : simulation.devices) {
    json->BeginObject()
        .Member("index", device.index)
        .Member("uuid", device.uuid)
        .Member("name", device.profile.name)
        .Member("bus_id", device.PciAddress())
        .Member("memory_total_mib", device.profile.memory_bytes / kMib);
    if (use != nullptr && device.index < use->size()) {
      const MachineDevice& machine = (*use)[device.index];
      json->Member("memory_used_bytes", machine.used_bytes);
      json->Key("processes").BeginArray();
      for (const MachineProcess& process : machine.processes) {
        json->BeginObject()
            .Member("pid", process.pid)
            .Member("memory_bytes", process.memory_bytes)
            .Member("busy_ns", process.busy_ns)
            .EndObject();
      }
      json->EndArray();
    }
    if (!device.instances.empty()) {
      json->Key("mig_devices").BeginArray();
      for (const simgpu::ExpandedInstance& instance : device.instances) {
        json->BeginObject()
            .Member("uuid", instance.uuid)
            .Member("profile", instance.profile.name)
            .Member("gpu_instance", instance.gpu_instance)
            .EndObject();
      }
      json->EndArray();
    }
    json->EndObject();
  }
  json->EndArray().EndObject();
}

Result<simgpu::Profile> ChooseProfile(const Arguments& arguments) {
  Result<simgpu::Profile> profile =
      arguments.file ? simgpu::LoadProfile(*arguments.file)
                     : LoadBuiltinProfile(arguments.profile.value_or(kDefaultProfile));
  if (!profile || !arguments.gpus) return profile;
  return simgpu::WithDeviceCount(std::move(*profile), *arguments.gpus);
}

Status Create(const Arguments& arguments, const Store& store) {
  ASSIGN_OR_RETURN(const simgpu::Profile profile, ChooseProfile(arguments));
  ASSIGN_OR_RETURN(const Simulation simulation, store.Create(NameOf(arguments), profile));
  if (arguments.json) {
    JsonWriter json;
    WriteSimulation(simulation, nullptr, &json);
    Print(std::move(json));
    return {};
  }
  Print(
      fmt::format("Created simulation {}: {} ({}), driver {}, CUDA {}.\nUse it in this shell:  "
                  "eval \"$(hami sim env {})\"\n",
                  simulation.name, CountText(simulation), profile.devices[0].name,
                  profile.driver_version, CudaText(profile.cuda_version), simulation.name));
  return {};
}

Status List(const Arguments& arguments, const Store& store) {
  std::vector<std::string> broken;
  ASSIGN_OR_RETURN(const std::vector<Simulation> simulations, store.List(&broken));
  if (arguments.json) {
    JsonWriter json;
    json.BeginObject().Member("root", store.root()).Key("simulations").BeginArray();
    for (const Simulation& simulation : simulations) WriteSimulation(simulation, nullptr, &json);
    json.EndArray().EndObject();
    Print(std::move(json));
  } else if (simulations.empty()) {
    Print(fmt::format("No simulations in {}. Make one with `hami sim create`.\n", store.root()));
  } else {
    Print(fmt::format("{:16} {:12} {:5} {:14} {:6} {}\n", "NAME", "PROFILE", "GPUS", "DRIVER",
                      "CUDA", "GPU"));
    for (const Simulation& simulation : simulations) {
      Print(fmt::format(
          "{:16} {:12} {:<5} {:14} {:6} {}\n", simulation.name, simulation.profile.name,
          simulation.devices.size(), simulation.profile.driver_version,
          CudaText(simulation.profile.cuda_version), simulation.profile.devices[0].name));
    }
  }
  for (const std::string& message : broken) fmt::print(stderr, "hami sim: {}\n", message);
  return {};
}

Status Show(const Arguments& arguments, const Store& store) {
  ASSIGN_OR_RETURN(const Simulation simulation, store.Find(NameOf(arguments)));
  ASSIGN_OR_RETURN(const std::vector<MachineDevice> use, ReadMachineState(simulation.StatePath()));
  if (arguments.json) {
    JsonWriter json;
    WriteSimulation(simulation, &use, &json);
    Print(std::move(json));
    return {};
  }
  Print(fmt::format("Simulation {}: {}\n  folder   {}\n  profile  {}\n  driver   {}, CUDA {}\n",
                    simulation.name, CountText(simulation), simulation.folder,
                    simulation.profile.name, simulation.profile.driver_version,
                    CudaText(simulation.profile.cuda_version)));
  for (const ExpandedDevice& device : simulation.devices) {
    Print(fmt::format("  GPU {:<4} {}, {}, {}, {} MiB", device.index, device.profile.name,
                      device.uuid, device.PciAddress(), device.profile.memory_bytes / kMib));
    if (device.index < use.size()) {
      const MachineDevice& machine = use[device.index];
      Print(fmt::format(", {} MiB used", machine.used_bytes / kMib));
      for (const MachineProcess& process : machine.processes) {
        Print(fmt::format("\n           process {}: {} MiB", process.pid,
                          process.memory_bytes / kMib));
      }
    }
    for (const simgpu::ExpandedInstance& instance : device.instances) {
      Print(fmt::format("\n           MIG {}: {}", instance.profile.name, instance.uuid));
    }
    Print("\n");
  }
  return {};
}

// In single quotes, so that a shell takes every character as it is.
std::string Quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

Status Environment(const Arguments& arguments, const Store& store) {
  Result<Simulation> simulation = store.Find(NameOf(arguments));
  if (!simulation && simulation.error().code == Code::kNotFound && !arguments.name) {
    ASSIGN_OR_RETURN(const simgpu::Profile profile, LoadBuiltinProfile(kDefaultProfile));
    simulation = store.Create(kDefaultName, profile);
    if (simulation) {
      fmt::print(stderr, "Created simulation {}: {} ({}).\n", kDefaultName, CountText(*simulation),
                 profile.devices[0].name);
    }
  }
  if (!simulation) return Fail(std::move(simulation).error());
  const std::string libraries = simulation->folder + "/lib";
  const std::string programs = simulation->folder + "/bin";
  if (arguments.json) {
    JsonWriter json;
    json.BeginObject()
        .Member("HAMI_SIM", simulation->folder)
        .Member("LD_LIBRARY_PATH", libraries)
        .Member("PATH", programs)
        .EndObject();
    Print(std::move(json));
    return {};
  }
  Print(
      fmt::format("export HAMI_SIM={}\n"
                  "export LD_LIBRARY_PATH={}\"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n"
                  "export PATH={}\":$PATH\"\n",
                  Quote(simulation->folder), Quote(libraries), Quote(programs)));
  return {};
}

// Reset and delete: act on one simulation and say so.
template <typename Action>
Status Change(const Arguments& arguments, const Store& store, const char* done, Action action) {
  ASSIGN_OR_RETURN(const Simulation simulation, store.Find(NameOf(arguments)));
  RETURN_IF_ERROR(action(simulation));
  if (arguments.json) {
    JsonWriter json;
    json.BeginObject().Member("name", simulation.name).Member("done", done).EndObject();
    Print(std::move(json));
  } else {
    Print(fmt::format("Simulation {} {}.\n", simulation.name, done));
  }
  return {};
}

std::string Describe(const Faults::Device& device) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  if (device.lost) add("lost");
  if (device.slow_ms != 0) add(fmt::format("slow by {} ms a call", device.slow_ms));
  if (device.failing_requests != 0) {
    add(fmt::format("the next {} requests for memory fail", device.failing_requests));
  }
  if (device.ecc_corrected != 0) add(fmt::format("{} corrected ECC errors", device.ecc_corrected));
  if (device.ecc_uncorrected != 0) {
    add(fmt::format("{} uncorrected ECC errors", device.ecc_uncorrected));
  }
  return text.empty() ? "no fault" : text;
}

Status Fault(const Arguments& arguments, const Store& store) {
  ASSIGN_OR_RETURN(const Simulation simulation, store.Find(NameOf(arguments)));
  ASSIGN_OR_RETURN(const Faults faults, MakeFaults(simulation.StatePath(), arguments.fault));
  if (!arguments.json) {
    std::string text = fmt::format("Simulation {}: the driver is {}.\n", simulation.name,
                                   faults.driver_off ? "off" : "on");
    for (size_t i = 0; i < faults.devices.size(); ++i) {
      text += fmt::format("  GPU {:<4} {}\n", i, Describe(faults.devices[i]));
    }
    Print(text);
    return {};
  }
  JsonWriter json;
  json.BeginObject().Member("name", simulation.name).Member("driver_off", faults.driver_off);
  json.Key("gpus").BeginArray();
  for (const Faults::Device& device : faults.devices) {
    json.BeginObject()
        .Member("lost", device.lost)
        .Member("slow_ms", device.slow_ms)
        .Member("failing_allocations", device.failing_requests)
        .Member("ecc_corrected", device.ecc_corrected)
        .Member("ecc_uncorrected", device.ecc_uncorrected)
        .EndObject();
  }
  json.EndArray().EndObject();
  Print(std::move(json));
  return {};
}

Status Profiles(const Arguments& arguments) {
  JsonWriter json;
  json.BeginObject().Key("profiles").BeginArray();
  std::string text = fmt::format("{:12} {}\n", "PROFILE", "WHAT");
  for (const BuiltinProfile& builtin : BuiltinProfiles()) {
    ASSIGN_OR_RETURN(const simgpu::Profile profile, LoadBuiltinProfile(builtin.name));
    json.BeginObject()
        .Member("name", profile.name)
        .Member("description", profile.description)
        .Member("driver_version", profile.driver_version)
        .Member("cuda_version", CudaText(profile.cuda_version))
        .EndObject();
    text += fmt::format("{:12} {}\n", profile.name, profile.description);
  }
  json.EndArray().EndObject();
  Print(arguments.json ? std::move(json).Take() + "\n" : text);
  return {};
}

Status Dispatch(const Arguments& arguments) {
  if (arguments.command == "profiles") return Profiles(arguments);
  ASSIGN_OR_RETURN(const Store store, Store::Open());
  if (arguments.command == "create") return Create(arguments, store);
  if (arguments.command == "list") return List(arguments, store);
  if (arguments.command == "show") return Show(arguments, store);
  if (arguments.command == "env") return Environment(arguments, store);
  if (arguments.command == "fault") return Fault(arguments, store);
  if (arguments.command == "reset") {
    return Change(arguments, store, "reset", [&](const Simulation& simulation) {
      return store.Reset(simulation, arguments.force);
    });
  }
  return Change(arguments, store, "deleted", [&](const Simulation& simulation) {
    return store.Delete(simulation, arguments.force);
  });
}

}  // namespace

int SimMain(int argc, char** argv) {
  const Result<Arguments> arguments = ParseArguments(argc, argv);
  if (!arguments) {
    fmt::print(stderr, "hami sim: {}. Run `hami sim --help`.\n", arguments.error().message);
    return 2;
  }
  if (arguments->help) {
    Print(HelpText(arguments->command));
    return 0;
  }
  const Status status = Dispatch(*arguments);
  if (status) return std::fflush(stdout) == 0 ? 0 : 1;
  fmt::print(stderr, "hami sim: {}\n", status.error().message);
  const Code code = status.error().code;
  return code == Code::kInvalidArgument || code == Code::kOutOfRange ? 2 : 1;
}

}  // namespace hami::simctl
