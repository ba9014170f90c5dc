// A layer's way into the store: a child copies and verifies it, while the launcher serves others, and then it is
// mounted.
//
// Threads: the launcher's one. Failures: answers; a child that is killed leaves a layer that is not there (ENOENT).
// Precondition: no two of one digest at a time.
#pragma once

#include <string>

#include "sandbox/launcher/pending.h"
#include "sandbox/rootfs/layers.h"

namespace cloister::launcher {

// `file` may be closed when this returns.
[[nodiscard]] Outcome mountLayer(rootfs::Layers& layers, const std::string& digest, int file);

}  // namespace cloister::launcher
