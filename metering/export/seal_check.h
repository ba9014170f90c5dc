// SealCheck: hosts' seals (seal.h) over the rows of a statement, as its lines are read.
//
// Rows of a source are held until a seal of it comes, which must hold over as many of them as it says. Held are at most
// twice what a seal may cover, and rows before those that it covers are under none. What makes a finding: a seal that
// is not written as one, whose signature is not the host's, that is there twice, or whose rows are others than the host
// had: changed, added, left out or moved. A seal over more rows than the file has is none when its segment began before
// the file's months, as the host itself signed; its rows count as under none. A seal by a key that is not trusted says
// nothing. So whoever can sign statements can take the hosts' word away from rows, which is counted, but not turn it.
// Threads: one. Failures: none; findings are texts, empty when all holds so far.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "metering/base/seal.h"

namespace cloister::metering {

struct SealCounts {
  std::uint64_t sealed = 0;     // rows under a host's seal
  std::uint64_t seals = 0;      // rows that are such
  std::uint64_t open = 0;       // behind their host's last seal and of the last hour that there is: one may still come
  std::uint64_t own = 0;        // the control plane's: changes of plans and states
  std::uint64_t bare = 0;       // all others: no host vouches for them
  std::uint64_t firstBare = 0;  // the lowest number of such a row
  std::uint64_t untrusted = 0;  // seals by keys that are not trusted
};

class SealCheck {
 public:
  // Keys that are trusted whatever the file lists; none: those that it lists are.
  explicit SealCheck(const std::vector<std::string>& trusted) : trusted_(trusted.begin(), trusted.end()) {}

  void list(const std::string& source, const std::string& publicKey);
  // Whose the rows to come are.
  void source(const std::string& name);
  // `encoded`: as putRow() does it.
  [[nodiscard]] std::string row(std::uint64_t number, const UsageRow& row, std::string_view encoded);
  // After the last row. `begin`: of the first month of which the file has all rows.
  [[nodiscard]] std::string end(std::int64_t begin);
  [[nodiscard]] const SealCounts& counts() const { return counts_; }

 private:
  struct Held {
    std::uint64_t number = 0;
    std::int64_t from = 0;
    std::size_t end = 0;  // of its bytes
  };
  struct Source {
    std::set<std::string> keys;  // that the file lists
    std::set<std::string> seen;  // hashes of its seals
    std::string bytes;           // encodings of the rows that are held
    std::vector<Held> held;
    bool cut = false;  // rows of it were held before these: a seal covers no rows before the file
  };
  [[nodiscard]] std::string seal(std::uint64_t number, const UsageRow& row);
  [[nodiscard]] std::string hashFrom(std::size_t first);
  // The first of those that are held: no seal will cover them.
  void bare(std::size_t rows);
  void forgetOldest();

  std::set<std::string> trusted_;
  std::map<std::string, Source> sources_;
  Source* now_ = nullptr;
  std::string name_;
  bool ownRows_ = false;
  std::int64_t latest_ = INT64_MIN;  // end of the newest window
  // The seal over more rows than there are whose segment began last, and what is wrong unless that was before the file.
  std::int64_t cutFrom_ = INT64_MIN;
  std::string cutFinding_;
  SealCounts counts_;
  Sha256 sha_;
};

}  // namespace cloister::metering
