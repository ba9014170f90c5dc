// EdgeMap: makes routes live in a running HAProxy, through its runtime API, without a reload.
//
//   $STATE/edge/
//   ├── hosts.map      always what HAProxy should have: it reads them when it starts
//   └── slots.map
//
// What is in them: config.h. Order: slots are set and added before a host's count grows, the count shrinks before slots
// are deleted; so no request draws a slot without an entry. Many changes at once go through a new version of the map
// (prepare, add, commit). Threads: any; calls are serialised. Failures: apply() returns false when HAProxy answered
// wrongly or too late, and the next call tries again from what HAProxy really has. An HAProxy that is not running is no
// failure: it will read the files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/edge/routes.h"

namespace cloister::edge {

class EdgeMap {
 public:
  struct Options {
    std::string socket;        // HAProxy's runtime API
    std::string mapDirectory;  // the same text as in the configuration
    std::size_t bulk = 2'000;  // from this many changes of a map on it is replaced as a whole
    int timeoutMillis = 5'000;
  };
  explicit EdgeMap(Options options);

  // Makes `routes` the truth; true when they are live (or written for an HAProxy that is away).
  [[nodiscard]] bool apply(const Routes& routes);
  // Why the last apply() was false, or that HAProxy is away; empty when all is well.
  [[nodiscard]] std::string lastError() const;

 private:
  using Entries = std::map<std::string, std::string>;
  struct Maps {
    Entries hosts;
    Entries slots;
    friend bool operator==(const Maps&, const Maps&) = default;
  };
  [[nodiscard]] static Maps mapsOf(const Routes& routes);
  void writeFiles(const Maps& maps);
  void synchronise(const Maps& wanted);
  void change(const Maps& from, const Maps& to);
  void update(const std::string& file, const Entries& from, const Entries& to);
  void replace(const std::string& file, const Entries& entries);
  [[nodiscard]] Entries show(const std::string& file);
  [[nodiscard]] std::string processId();
  void run(const std::vector<std::string>& commands);
  [[nodiscard]] std::string ask(const std::string& line);
  [[nodiscard]] std::string fileOf(const char* name) const;

  Options options_;
  mutable std::mutex mutex_;
  std::optional<Maps> written_;  // in the files
  std::optional<Maps> live_;     // in HAProxy, as far as known
  std::string liveProcess_;      // the HAProxy that has them
  std::string lastError_;
};

// Writes hosts.map and slots.map empty where they are missing: HAProxy does not start without them.
void ensureMapFiles(const std::string& mapDirectory);

}  // namespace cloister::edge
