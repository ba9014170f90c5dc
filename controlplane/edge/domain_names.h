// DomainNames: which host names a tenant may add to an app before there is a proof that they are the tenant's.
//
// Refused: public suffixes (the list that libpsl has built in), names that mean something inside of a network or host,
// those under which clouds tell a machine about itself, addresses in any spelling, and the platform's own names with
// all that is below them. Threads: immutable. Failures: none; a name that cannot be judged may not be added.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cloister::edge {

class DomainNames {
 public:
  // `own`: the platform's names: of its apps, of its API, of its edge.
  explicit DomainNames(std::vector<std::string> own);
  // `host` is a host name of labels, in any case.
  [[nodiscard]] bool mayBeAdded(std::string_view host) const;

 private:
  std::vector<std::string> own_;
};

}  // namespace cloister::edge
