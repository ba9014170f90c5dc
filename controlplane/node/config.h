// Config: where the node keeps things and whom it talks to, from node.toml and the command line. Layout: its
// directories.
//
//   $STATE/node/
//     state.key                      mode 0600: what work.json and spec.json are sealed with (sealed_file.h)
//     work.json                      the last certified NodeWork, sealed, replaced atomically
//     spool.db                       metering (metering/spool.h)
//     signing.key                    mode 0600: what this host seals its readings with (metering/base/seal.h)
//     layers/<sha256>                an erofs image on its way to the launcher, which keeps the only copy
//     instances/<instance id>/       mode 0700
//       spec.json                    NodeWork with the one instance and its tenant, sealed; no environment once stopped
//       attempt                      "ATTEMPT BOOTID STATE STARTED": the latest attempt (instance_directory.h)
//       stdout.fifo, stderr.fifo     0666; the app's ends are opened for reading and writing
//       status                       "exit N" or "signal N", written by cloister-init when the app ended
//       log/current, log/1 ... log/3 JSON lines, newest in `current`
//       stopped                      there once the instance was stopped for good; its age decides about deletion
//     builds/<build id>/             mode 0700: source, slug, status, result.json
//     sessions/<session id>/         mode 0700: status
//
// Threads: values. Failures: loadConfig() throws std::runtime_error naming file and key, or the name that is the
// control plane's own.
#pragma once

#include <string>

namespace cloister::node {

struct Config {
  std::string state;  // default: $CLOISTER_STATE or /var/lib/cloister
  std::string run;    // default: $CLOISTER_RUN or /run/cloister
  std::string name;   // default: the host's name; the source of its usage (metering/base/lifecycle.h)
  std::string
      server;  // "unix:PATH", "http://host:port", "https://host:port"; default: unix:$RUN/cloisterd/node-api.sock
  std::string tokenFile;       // default: $STATE/node/token
  std::string launcherSocket;  // default: $RUN/launcher.sock
  std::string layerStore;      // default: $STATE/launcher/layers; where the launcher keeps images, for reading
  std::string tlsAuthority;    // https: file of the certificates that are trusted
  std::string tlsCertificate;  // https: our own certificate and key, shown to the server
  std::string tlsKey;

  [[nodiscard]] std::string directory() const { return state + "/node"; }
  [[nodiscard]] std::string layers() const { return directory() + "/layers"; }
  [[nodiscard]] std::string instances() const { return directory() + "/instances"; }
  [[nodiscard]] std::string builds() const { return directory() + "/builds"; }
  [[nodiscard]] std::string sessions() const { return directory() + "/sessions"; }
  [[nodiscard]] std::string work() const { return directory() + "/work.json"; }
  [[nodiscard]] std::string spool() const { return directory() + "/spool.db"; }
  [[nodiscard]] std::string signingKey() const { return directory() + "/signing.key"; }
};

// `flags` (what is not empty) over `file` over the defaults. A file that is `required` must be there.
enum class ConfigFile { required, optional };
[[nodiscard]] Config loadConfig(const std::string& file, ConfigFile presence, const Config& flags = {});

}  // namespace cloister::node
