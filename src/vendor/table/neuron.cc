// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec NeuronSpec() {
  Spec spec;
  spec.common_word = "AWSNeuron";
  spec.section = "awsneuron";
  spec.resources = {.count = "aws.amazon.com/neuron", .cores = "aws.amazon.com/neuroncore"};
  // Of the smallest device (Inferentia2, Trainium); Inferentia's have 4. Nodes tell their own.
  spec.units.card_cores = 2;
  spec.core_unit = CoreUnit::kUnits;
  spec.rule = ChoiceRule::kNeuron;
  spec.selectors = {.use_ids = {"aws.amazon.com/use-neuron-uuid"},
                    .avoid_ids = {"aws.amazon.com/nouse-neuron-uuid"}};
  spec.capacity = {.infix = "AWSNeuron", .cores_from = &ResourceNames::cores};
  spec.allocated_key = "hami.io/aws-neuron-devices-allocated";
  spec.note_keys = {"AWS_NEURON_IDS", "NEURON_ALLOC_TIME", "NEURON_RESOURCE_TYPE",
                    "NEURON_ALLOCATED", "aws.amazon.com/predicate-node"};
  spec.lock_key.clear();
  spec.ask = AskNeuron;
  spec.admit = AdmitPresence;
  spec.inventory = ReadCapacity;
  spec.note = NoteNeuron;
  return spec;
}

}  // namespace hami::vendor
