// Config: what cloisterd.toml says, with the defaults of the on-disk layout.
//
//   $STATE/cloisterd/
//   ├── cloister.db, secret.key   controlplane/store
//   ├── ledger.db                 metering, unless `ledger` names another file or a PostgreSQL database
//   ├── signing.key               metering: what statements are signed with
//   ├── blobs/<sha256>            controlplane/builds: sources, slugs, base images
//   ├── bases/<name>              digest of the base image of that name
//   └── builds/<id>.log           output of a build
//   $RUN/cloisterd/node-api.sock  the node endpoints, mode 0660
//
// Threads: values. Failures: std::runtime_error naming file, key and reason; an unknown key is an error.
#pragma once

#include <cstdint>
#include <string>

namespace cloister::api {

struct Config {
  std::string state = "/var/lib/cloister";
  std::string run = "/run/cloister";
  std::string listen = "127.0.0.1:7070";
  std::string metricsListen = "127.0.0.1:7071";
  std::string appsDomain = "localhost";
  std::string edgeUrl = "http://localhost:8080";
  std::string edgeSocket;             // empty: $RUN/edge/haproxy.sock
  std::string edgeMaps;               // empty: $STATE/edge
  unsigned edgeConnections = 0;       // that HAProxy takes at once; 0: edge::Shares' own
  std::string layerStore;             // empty: $STATE/launcher/layers, where this host's launcher keeps images
  std::string ledgerLocation;         // a path, or "postgresql://..."; empty: $STATE/cloisterd/ledger.db
  std::string provider = "Cloister";  // the name on invoices
  std::string region = "local";       // FOCUS's RegionId
  std::string logLevel = "info";
  std::uint64_t maxSourceBytes = 512ULL << 20U;
  std::uint64_t maxSlugBytes = 4ULL << 30U;
  std::uint64_t maxBuildLogBytes = 16ULL << 20U;
  int maxThreads = 512;  // an eighth of them for requests that only compute, the others for streams and uploads
  int maxConnections = 4096;
  int maxConnectionsPerSource = 256;  // that have sent no good request yet
  int requestsPerSecond = 100;        // of one tenant
  int requestsBurst = 400;
  int sessionJoinSeconds = 15;
  int maxNodeCores = 1024;  // usage that no host with that many can have had is no usage
  int settleSeconds = 10;   // how long a new instance has to stay ready, unless its manifest says

  [[nodiscard]] std::string directory() const { return state + "/cloisterd"; }
  [[nodiscard]] std::string database() const { return directory() + "/cloister.db"; }
  [[nodiscard]] std::string keyFile() const { return directory() + "/secret.key"; }
  [[nodiscard]] std::string signingKey() const { return directory() + "/signing.key"; }
  [[nodiscard]] std::string ledger() const {
    return ledgerLocation.empty() ? directory() + "/ledger.db" : ledgerLocation;
  }
  [[nodiscard]] std::string blobs() const { return directory() + "/blobs"; }
  [[nodiscard]] std::string layers() const { return layerStore.empty() ? state + "/launcher/layers" : layerStore; }
  [[nodiscard]] std::string bases() const { return directory() + "/bases"; }
  [[nodiscard]] std::string buildLogs() const { return directory() + "/builds"; }
  [[nodiscard]] std::string runDirectory() const { return run + "/cloisterd"; }
  [[nodiscard]] std::string nodeSocket() const { return runDirectory() + "/node-api.sock"; }
  [[nodiscard]] std::string edgeSocketPath() const {
    return edgeSocket.empty() ? run + "/edge/haproxy.sock" : edgeSocket;
  }
  [[nodiscard]] std::string edgeMapsPath() const { return edgeMaps.empty() ? state + "/edge" : edgeMaps; }
};

// The defaults, changed by CLOISTER_STATE and CLOISTER_RUN, then by the file if there is one. An empty path: no file.
[[nodiscard]] Config loadConfig(const std::string& path);

// "http://hello.demo.localhost:8080" from the app's host name and the edge's URL.
[[nodiscard]] std::string urlOf(const std::string& host, const std::string& edgeUrl);

}  // namespace cloister::api
