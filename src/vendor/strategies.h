// SPDX-License-Identifier: Apache-2.0
//
// The strategies that entries of the table choose from (spec.h says what each kind does). Each says
// which fields of the Spec it reads. Contract: hami-control-plane.md sections 3 and 6, with the
// bugs of HAMi that it marks mended.

#pragma once

#include "vendor/spec.h"

namespace hami::vendor {

// The pod annotation and its value that ask for Ascend's soft split. The value also stands in the
// shape of such requests and slices.
inline constexpr const char* kAscendModeKey = "huawei.com/vnpu-mode";
inline constexpr const char* kAscendSoft = "hami-core";
bool IsAscendSoft(const domain::Pod& pod);

// --- What a container asks ---

// Count, memory or percentage, cores, with defaults of `units`. A vendor without a resource for
// memory gives all of it: whole cards.
Result<Request> AskShare(const Spec& spec, const domain::Pod& pod,
                         const domain::PodContainer& container);
// The same, but more than one device means whole devices: all cores (Iluvatar).
Result<Request> AskShareOrWholes(const Spec& spec, const domain::Pod& pod,
                                 const domain::PodContainer& container);
// Memory and cores are of all devices together; memory of one must be one of memory_steps
// (Moore Threads).
Result<Request> AskDivided(const Spec& spec, const domain::Pod& pod,
                           const domain::PodContainer& container);
// Memory is rounded up to the next of memory_steps, cores follow from it (Kunlun shared).
Result<Request> AskStepped(const Spec& spec, const domain::Pod& pod,
                           const domain::PodContainer& container);
// Memory with a suffix in bytes, without one in GiB; application class and QoS policy of the pod
// (MetaX shared).
Result<Request> AskMetaxShared(const Spec& spec, const domain::Pod& pod,
                               const domain::PodContainer& container);
// Memory is rounded up to the next of the templates, or taken as it is where the pod wants the soft
// split (Ascend).
Result<Request> AskTemplate(const Spec& spec, const domain::Pod& pod,
                            const domain::PodContainer& container);
// Slices, or memory and cores that a node's profiles have to cover, or percent of a card (Enflame).
// What it finds stands in the request's shape; see enflame_profile.h.
Result<Request> AskProfile(const Spec& spec, const domain::Pod& pod,
                           const domain::PodContainer& container);
// Whole devices, or 1 core, or a multiple of a device's cores (AWS Neuron).
Result<Request> AskNeuron(const Spec& spec, const domain::Pod& pod,
                          const domain::PodContainer& container);

// --- Admission ---

// Says whether the container asks for devices, and refuses what cannot be read.
Status AdmitPresence(const Spec& spec, const domain::Pod& pod,
                     const domain::PodContainer& container, Admission* admission);
// Default count, exclusive default of cores, priority, core policy.
Status AdmitNvidia(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                   Admission* admission);
// Cores 1 to 100; memory or cores alone count as asking.
Status AdmitAmd(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                Admission* admission);
// Cores of several cards; the container's name for the driver (Iluvatar).
Status AdmitIluvatar(const Spec& spec, const domain::Pod& pod,
                     const domain::PodContainer& container, Admission* admission);
// Whole cards where several, or no memory, are asked (Moore Threads).
Status AdmitDivided(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                    Admission* admission);
// Writes the memory to which the request was rounded (Kunlun shared).
Status AdmitStepped(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                    Admission* admission);
// The same for templates; pairs of devices (Ascend).
Status AdmitTemplate(const Spec& spec, const domain::Pod& pod,
                     const domain::PodContainer& container, Admission* admission);
// QoS policy and application class (MetaX shared).
Status AdmitMetaxShared(const Spec& spec, const domain::Pod& pod,
                        const domain::PodContainer& container, Admission* admission);
// Mirrors limits and requests; slices of percentages (Enflame).
Status AdmitProfile(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                    Admission* admission);

// --- Devices of a node ---

// The register annotation, JSON or text.
std::vector<Device> ReadRegister(const Spec& spec, const domain::Node& node,
                                 std::vector<std::string>* problems);
// The same with the quality of links between GPUs (NVIDIA).
std::vector<Device> ReadLinkedRegister(const Spec& spec, const domain::Node& node,
                                       std::vector<std::string>* problems);
// status.capacity, as spec.capacity says.
std::vector<Device> ReadCapacity(const Spec& spec, const domain::Node& node,
                                 std::vector<std::string>* problems);
// metax-tech.com/node-gpu-devices.
std::vector<Device> ReadMetaxShared(const Spec& spec, const domain::Node& node,
                                    std::vector<std::string>* problems);
// enflame.com/gcu-drs-capacity; without it the older capacity of shared cards.
std::vector<Device> ReadEnflame(const Spec& spec, const domain::Node& node,
                                std::vector<std::string>* problems);

// --- Annotations of a decision, and back ---

void NoteMig(const Spec& spec, const Grant& grant, std::map<std::string, std::string>* annotations);
Status ReadMigNote(const Spec& spec, const domain::Pod& pod, std::vector<domain::Slice>* slices);
void NoteCambricon(const Spec& spec, const Grant& grant,
                   std::map<std::string, std::string>* annotations);
void NoteAscend(const Spec& spec, const Grant& grant,
                std::map<std::string, std::string>* annotations);
Status ReadAscendNote(const Spec& spec, const domain::Pod& pod, std::vector<domain::Slice>* slices);
void NoteMthreads(const Spec& spec, const Grant& grant,
                  std::map<std::string, std::string>* annotations);
void NoteMetaxShared(const Spec& spec, const Grant& grant,
                     std::map<std::string, std::string>* annotations);
Status ReadMetaxSharedNote(const Spec& spec, const domain::Pod& pod,
                           std::vector<domain::Slice>* slices);
void NoteEnflame(const Spec& spec, const Grant& grant,
                 std::map<std::string, std::string>* annotations);
Status ReadEnflameNote(const Spec& spec, const domain::Pod& pod,
                       std::vector<domain::Slice>* slices);
void NoteKunlun(const Spec& spec, const Grant& grant,
                std::map<std::string, std::string>* annotations);
void NoteNeuron(const Spec& spec, const Grant& grant,
                std::map<std::string, std::string>* annotations);

}  // namespace hami::vendor
