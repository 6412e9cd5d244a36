// SPDX-License-Identifier: Apache-2.0

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string_view>

#include "smi/fields.h"
#include "smi/output.h"
#include "smi/smi.h"

namespace hami::smi {
namespace {

constexpr size_t kMaxFields = 128;

struct FieldList {
  const Field* fields[kMaxFields];
  size_t count = 0;
};

// "index, uuid": blanks around the commas are allowed, as nvidia-smi allows them.
bool ParseFields(const char* text, const FieldTable& table, FieldList* out) {
  while (true) {
    const size_t length = strcspn(text, ",");
    std::string_view name(text, length);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    const Field* field = table.Find(name);
    if (field == nullptr || out->count == kMaxFields) {
      printf("Field \"%.*s\" is not a valid field to query.\n\n", static_cast<int>(name.size()),
             name.data());
      return false;
    }
    out->fields[out->count++] = field;
    if (text[length] == '\0') return true;
    text += length + 1;
  }
}

void PrintHeader(const FieldList& list) {
  for (size_t i = 0; i < list.count; ++i) {
    const Field& field = *list.fields[i];
    printf("%s%s", i == 0 ? "" : ", ", field.name);
    if (field.unit != nullptr) printf(" [%s]", field.unit);
  }
  printf("\n");
}

void PrintRow(const FieldList& list, const FieldContext& context, bool units) {
  for (size_t i = 0; i < list.count; ++i) {
    const Field& field = *list.fields[i];
    Cell cell;
    field.print(context, &cell);
    printf("%s%s", i == 0 ? "" : ", ", cell.text());
    if (units && field.unit != nullptr && cell.has_value()) printf(" %s", field.unit);
  }
  printf("\n");
}

}  // namespace

int PrintQuery(const View& view) {
  const bool apps = view.options.mode == Mode::kQueryComputeApps;
  FieldList list;
  if (!ParseFields(view.options.fields, apps ? ComputeAppFields() : GpuFields(), &list)) {
    return kExitUsage;
  }
  if (view.options.header) PrintHeader(list);
  for (uint32_t i = 0; i < view.count; ++i) {
    const Gpu& gpu = view.gpus[i];
    FieldContext context = {view.nvml, view.system, gpu, view.total, nullptr};
    if (!apps) {
      PrintRow(list, context, view.options.units);
      continue;
    }
    uint32_t count = 0;
    nvmlReturn_t result = NVML_SUCCESS;
    Process* processes = ReadProcesses(view.nvml, gpu, &count, &result);
    for (uint32_t p = 0; p < count; ++p) {
      context.process = &processes[p];
      PrintRow(list, context, view.options.units);
    }
    free(processes);
  }
  return kExitOk;
}

void PrintQueryHelp(Mode mode) {
  const bool apps = mode == Mode::kHelpQueryComputeApps;
  const FieldTable table = apps ? ComputeAppFields() : GpuFields();
  printf("Fields of --query-%s:\n\n", apps ? "compute-apps" : "gpu");
  for (size_t i = 0; i < table.count; ++i) {
    const Field& field = table.fields[i];
    printf("  %-40s %s", field.name, field.help);
    if (field.unit != nullptr) printf(" [%s]", field.unit);
    if (field.alias != nullptr) printf(" (also %s)", field.alias);
    printf("\n");
  }
}

}  // namespace hami::smi
