// Services: what handlers work with, owned by the Daemon (daemon.h) and alive as long as it serves.
//
// Threads: each member is safe from any thread. Failures: none.
#pragma once

#include <atomic>

#include "api/base_images.h"
#include "api/build_logs.h"
#include "api/config.h"
#include "api/limits.h"
#include "api/sessions.h"
#include "api/stream_rights.h"
#include "controlplane/builds/blobs.h"
#include "controlplane/reconcile/deployments.h"
#include "controlplane/reconcile/node_work.h"
#include "controlplane/store/store.h"
#include "metering/base/signing.h"
#include "metering/billing/billing.h"
#include "metering/ledger/ledger.h"
#include "metering/prometheus/exposition.h"

namespace cloister::api {

struct Services {
  const Config& config;
  store::Store& store;
  builds::BlobStore& blobs;
  reconcile::Deployments& deployments;
  reconcile::NodeWorkService& nodeWork;
  metering::Ledger& ledger;
  metering::Billing& billing;
  const metering::SigningKey& signingKey;
  metering::Exposition& exposition;
  Sessions& sessions;
  BuildLogs& buildLogs;
  BaseImages& bases;
  Slots& uploads;  // by tenant
  Slots& streams;  // by tenant: whatever holds a connection
  StreamRights& rights;
  const std::atomic<bool>& stopping;
};

}  // namespace cloister::api
