// The node endpoints of controlplane/model/node_protocol.h, on their own socket and with nodes' tokens only.
//
// Threads: before the server starts. Failures: none; handlers throw Problem and store::Refusal.
#pragma once

#include "api/router.h"
#include "api/services.h"

namespace cloister::api {

void addNodeEndpoints(Router& router, const Services& services);

}  // namespace cloister::api
