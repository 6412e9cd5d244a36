// SPDX-License-Identifier: Apache-2.0
//
// What is known of one vendor's accelerators: one entry of the table (table/). An entry is data:
// the names, units and annotations of the vendor, and which of the named strategies (strategies.h)
// read and write them. A vendor that fits the strategies needs no code. Contract:
// hami-control-plane.md section 6; how to add one: docs/guide/add-a-vendor.md.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "domain/allocation.h"
#include "domain/node.h"
#include "domain/pod.h"
#include "vendor/device.h"
#include "vendor/request.h"

namespace hami::vendor {

struct Spec;

// Names of extended resources; empty: the vendor has none of that kind.
struct ResourceNames {
  std::string count;       // "nvidia.com/gpu"
  std::string memory;      // "nvidia.com/gpumem"
  std::string memory_pct;  // "nvidia.com/gpumem-percentage"
  std::string cores;       // "nvidia.com/gpucores"
  std::string priority;    // "nvidia.com/priority": read at admission only
  // Enflame's older form of sharing, in percent of a card.
  std::string shared_count;   // "enflame.com/vgcu"
  std::string shared_pct;     // "enflame.com/vgcu-percentage"
  std::string shared_slices;  // "enflame.com/shared-gcu": what the node's plugin counts
};

// Keys of pod annotations that choose devices; of a list the first that names something counts.
struct SelectorKeys {
  std::vector<std::string> use_types;
  std::vector<std::string> avoid_types;
  std::vector<std::string> use_ids;
  std::vector<std::string> avoid_ids;
  std::string mode;
};

// A piece that the driver can cut from a card.
struct Template {
  std::string name;  // "vir05_1c_16g"
  int32_t memory_mib = 0;
  int32_t ai_cores = 0;
  int32_t ai_cpus = 0;
};

// Units, defaults and limits of what a container asks.
struct Units {
  int32_t memory_mib = 1;          // what 1 of the memory resource stands for
  int32_t memory_factor = 1;       // times this (device-config's memoryFactor)
  int32_t default_memory_mib = 0;  // asked where neither memory nor percentage is; 0: all of it
  int32_t default_cores = 0;
  int32_t default_count = 0;  // set at admission where memory or cores are asked alone; 0: never
  int32_t card_memory = 0;    // of one whole card, in the unit of the memory resource
  int32_t card_cores = 100;   // likewise
  int32_t card_slices = 0;    // into how many slices a card is cut
  // What memory may be, ascending and in its resource's unit; empty: anything.
  std::vector<int32_t> memory_steps;
  std::vector<Template> templates;  // ascending by memory
  int32_t allocatable_mib = 0;      // of a card that is cut by templates
  int32_t capacity_mib = 0;         // what such a card has in all; more cannot be asked
  bool in_pairs = false;            // devices come two by two (Ascend 910C)
};

// What status.capacity alone tells of a vendor's devices: which resources to read there.
struct CapacitySource {
  using Name = std::string ResourceNames::*;
  Name counted = &ResourceNames::count;
  int32_t per_device = 1;     // so many of it make one device
  const char* infix = "";     // ids are "<node>-<infix>-<index>"
  int32_t slots = 1;          // how many may share one
  Name memory = nullptr;      // of all devices together, in the unit of `units`; or
  int32_t memory_mib = 0;     // of each
  Name cores_from = nullptr;  // of all devices together; or
  int32_t cores = 100;        // of each
  bool two_numa_halves = false;
};

// What was decided for one pod and one vendor.
struct Grant {
  const domain::Pod* pod = nullptr;
  std::string node;
  std::vector<std::vector<const domain::Slice*>> containers;  // by container of the pod
  std::map<std::string, const Device*> devices;               // by id, those of the node
  int64_t now_ns = 0;

  // Null for a device that the node no longer announces.
  const Device* Find(const std::string& id) const {
    const auto found = devices.find(id);
    return found == devices.end() ? nullptr : found->second;
  }
};

// The strategies. Errors are for the pod's author and say what to write instead.
//
// What a container asks; count 0: nothing of this vendor.
using AskFn = Result<Request> (*)(const Spec& spec, const domain::Pod& pod,
                                  const domain::PodContainer& container);
// What admission does to a container.
using AdmitFn = Status (*)(const Spec& spec, const domain::Pod& pod,
                           const domain::PodContainer& container, Admission* admission);
// The devices that a node announces. What cannot be read is one line of `problems`.
using InventoryFn = std::vector<Device> (*)(const Spec& spec, const domain::Node& node,
                                            std::vector<std::string>* problems);
// Annotations of a decision beside the text that all vendors share.
using NoteFn = void (*)(const Spec& spec, const Grant& grant,
                        std::map<std::string, std::string>* annotations);
// Reads back from them what the shared text does not say.
using ReadNoteFn = Status (*)(const Spec& spec, const domain::Pod& pod,
                              std::vector<domain::Slice>* slices);

// How cores of a request become cores of a device.
enum class CoreUnit : uint8_t {
  kPercent,        // as they are, 100 at most
  kUnits,          // as they are; 0: all that the device has (AWS Neuron)
  kPercentOfUnits  // percent of the device's units, rounded down, at least 1; 0: all (AMD)
};

// What else has to be obeyed in choosing devices: src/placement/rules has one rule for each.
enum class ChoiceRule : uint8_t {
  kNone,
  kAscend,        // soft split where the node allows it, pairs, largest network group first
  kSameDevices,   // all containers of a pod on the same devices (Moore Threads)
  kMetaxWhole,    // node score by the losses or scores that the node announces
  kMetaxShared,   // one QoS policy per card, application classes, links
  kEnflame,       // slices by profile
  kKunlun,        // two wings with links
  kKunlunShared,  // likewise, equal sizes on a card
  kNeuron,        // contiguous runs, masks of cores
  kVastai,        // dies of one AIC first
};

struct Spec {
  std::string common_word;  // "NVIDIA", as in the text of allocations
  std::string section;      // of device-config.yaml: "nvidia"
  ResourceNames resources;
  Units units;
  SelectorKeys selectors;
  CoreUnit core_unit = CoreUnit::kPercent;
  ChoiceRule rule = ChoiceRule::kNone;

  std::string register_key;   // node annotation with the devices; empty: read from elsewhere
  std::string handshake_key;  // node annotation by which HAMi asks a plugin whether it lives
  CapacitySource capacity;
  int32_t announced_cores = 0;  // replaces what nodes announce; 0: as announced
  std::string group_word;       // of Device::extra: which devices belong together
  std::string to_allocate_key;  // pod annotations with the decision; the first may be empty
  std::string allocated_key;
  bool writes_type = false;  // the device's type stands in the text, not the common word (AMD)
  // What `note` may write beside these two, for who protects it.
  std::vector<std::string> note_keys;

  // The node lock of HAMi's protocol: hami.io/mutex.lock unless empty (none) or the vendor's own.
  std::string lock_key = "hami.io/mutex.lock";

  AskFn ask = nullptr;
  AdmitFn admit = nullptr;
  InventoryFn inventory = nullptr;
  NoteFn note = nullptr;           // may be null
  ReadNoteFn read_note = nullptr;  // may be null

  // Set in containers without devices of any entry that has the same variable, if overwrite_env.
  std::pair<std::string, std::string> hiding_variable;
  bool overwrite_env = false;
  std::string runtime_class;    // of pods with devices
  std::string core_policy;      // GPU_CORE_UTILIZATION_POLICY of containers; empty: unset
  bool soft_split = false;      // nodes allow it unless they say otherwise (Ascend)
  bool topology_aware = false;  // unless the pod says otherwise (MetaX)

  // Every resource that it has.
  std::vector<std::string> ResourceNameList() const;
};

// What is asked of a node that has such devices: where cores are asked across devices and fill
// several of them, so many with all of their cores. Anything else stays as it is: cores of one
// device, which may have fewer.
Request RequestOn(const Request& request, const Device& device);

// What a request takes of that device.
struct Need {
  int32_t slots = 1;
  int32_t memory_mib = 0;
  int32_t cores = 0;

  bool operator==(const Need&) const = default;
};
Need NeedOn(const Spec& spec, const Request& request, const Device& device);

}  // namespace hami::vendor
