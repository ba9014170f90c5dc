// Bootstrap: what a new installation needs before anybody can log in: token files, base images, the edge's maps.
//
// Idempotent: a file whose token is still valid is kept; run it as the user of cloisterd, which may be running.
// Threads: one. Failures: std::runtime_error with path and reason.
#pragma once

#include <string>

#include "api/config.h"

namespace cloister::api {

struct BootstrapOptions {
  std::string adminTokenFile;  // empty: none
  std::string nodeTokenFile;
  std::string baseImage;  // an erofs
  std::string baseName = "debian-12";
};

void bootstrap(const Config& config, const BootstrapOptions& options);

}  // namespace cloister::api
