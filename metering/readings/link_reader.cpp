#include "metering/readings/link_reader.h"

#include <cerrno>

#include "sandbox/base/counters.h"

namespace cloister::metering {
namespace {

LinkBytes asTenantSees(const counters::Link& link) {
  return {link.index, link.sentBytes, link.receivedBytes};
}

}  // namespace

Status LinkReader::refresh() {
  const auto links = counters::dumpLinks();
  if (!links) return links.error();
  links_.clear();
  for (const auto& link : *links) links_.emplace(link.name, asTenantSees(link));
  return {};
}

Status LinkReader::refresh(const std::string& name) {
  const auto link = counters::readLink(name);
  if (!link) {
    links_.erase(name);
    if (link.error().code == ENODEV) return {};
    return link.error();
  }
  links_.insert_or_assign(name, asTenantSees(*link));
  return {};
}

std::optional<LinkBytes> LinkReader::find(const std::string& name) const {
  const auto found = links_.find(name);
  if (found == links_.end()) return std::nullopt;
  return found->second;
}

}  // namespace cloister::metering
