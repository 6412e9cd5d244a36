// SPDX-License-Identifier: Apache-2.0

#include "vendor/table/table.h"

namespace hami::vendor {

std::vector<Spec> SingleSpecs() {
  return {NvidiaSpec(),        CambriconSpec(),    HygonSpec(),      EnflameWholeSpec(),
          EnflameSharedSpec(), MthreadsSpec(),     MetaxWholeSpec(), MetaxSharedSpec(),
          KunlunSpec(),        KunlunSharedSpec(), NeuronSpec(),     AmdSpec(),
          VastaiSpec(),        BirenSpec()};
}

}  // namespace hami::vendor
